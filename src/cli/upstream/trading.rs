//! Made-up answers in the shapes of the published trading API. Source: PROTOCOL §9.

use serde_json::{Value, json};

use super::{Asked, Problem};

/// `POST /x402/perp-trading-suggestion`.
pub(super) fn suggestion(asked: &Asked) -> Result<Value, Problem> {
    let symbol = asked.text("symbol")?.to_ascii_uppercase();
    let style = asked.word("style", &["scalping", "day-trading", "swing-trading"])?;
    let margin = asked.number("marginUSD", (1, 1_000_000))?.unwrap_or(1_000);
    let leverage = asked.number("leverage", (1, 40))?.unwrap_or(10);
    let strategy = match asked.0.get("strategy") {
        None => "max-profit",
        Some(_) => asked.text("strategy")?,
    };
    let entry: u64 = match symbol.as_str() {
        "BTC" => 65_000,
        "ETH" => 3_200,
        "SOL" => 150,
        _ => 100,
    };
    let per_cent = |part: u64| entry.saturating_mul(part) / 100;
    // Made up, and the same each time: an odd name is sold.
    let (side, stop, target) = match symbol.len() % 2 {
        1 => ("short", per_cent(102), per_cent(95)),
        _ => ("long", per_cent(98), per_cent(105)),
    };
    let style = style.unwrap_or("day-trading");
    Ok(json!({
        "entryPrice": entry, "side": side, "stopLossPrice": stop, "takeProfitPrice": target,
        "confidence": 50,
        "reasons": [format!("{style} by {strategy} with {symbol}")],
        "risks": [format!("{margin} USD at {leverage} times can be lost whole")]
    }))
}

/// `POST /x402/intent-to-swap-tx`: understands `swap AMOUNT FROM to INTO`.
pub(super) fn swap(asked: &Asked) -> Result<Value, Problem> {
    let intent = asked.text("intent")?;
    asked.text("walletAddress")?;
    let chain = match asked.0.get("chain") {
        None => "base",
        Some(_) => asked.text("chain")?,
    };
    let words: Vec<_> = intent.split_whitespace().collect();
    let [verb, amount, input, _, output] = *words else {
        return Err(Problem("`intent` must be as in: swap 10 USDC to ETH".to_owned()));
    };
    if !verb.eq_ignore_ascii_case("swap") || amount.parse::<u64>().is_err() {
        return Err(Problem("`intent` must be as in: swap 10 USDC to ETH".to_owned()));
    }
    let address = |symbol: &str| match symbol {
        "USDC" => "0x833589fCD6eDb6E08f4c7C32D4f71b54bdA02913",
        _ => "0x0000000000000000000000000000000000000000",
    };
    Ok(json!({ "transaction": {
        "chain": chain,
        "inputTokenAddress": address(input), "inputTokenSymbol": input,
        "outputTokenAddress": address(output), "outputTokenSymbol": output,
        "amount": amount, "amountPercentage": Value::Null, "slippagePercent": 1
    }}))
}

/// `POST /x402/prediction-market-ask`.
pub(super) fn prediction(asked: &Asked) -> Result<Value, Problem> {
    let link = asked.text("link")?;
    asked.text("mode")?;
    let mode = asked.word("mode", &["fast", "expert"])?.unwrap_or("fast");
    let predictions = json!([{ "outcome": "Yes", "yesProb": 50, "noProb": 50 }]);
    if asked.is("only_result") {
        return Ok(json!({ "predictions": predictions }));
    }
    let reasoning = format!("A {mode} look at {link} finds nothing that speaks for either side.");
    Ok(json!({ "predictions": predictions, "reasoning": reasoning }))
}
