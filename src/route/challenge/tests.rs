//! The two halves of a 402.

use alloy_primitives::Address;
use serde_json::{Value, json};

use super::*;
use crate::route::Pattern;
use crate::x402::requirements::{AssetDomain, EvmExtra, Extra, ExtraV1, SCHEME_EXACT};
use crate::x402::svm::SvmExtra;
use crate::x402::{
    AssetTransferMethod, AtomicAmount, Domains, Eip712Domain, EvmDomains, Identifying,
    KnownNetwork, PaymentRequirements,
};

fn offered(network: &str) -> OfferedBy {
    let known = KnownNetwork::named(network).unwrap();
    let asset: Address = known.usdc.parse().unwrap();
    let pay_to = Address::repeat_byte(7);
    let evm = known.evm().unwrap();
    let named = AssetDomain { name: evm.eip712_name.into(), version: evm.eip712_version.into() };
    let amount = AtomicAmount::new(50_000);
    let requirements = PaymentRequirements {
        scheme: SCHEME_EXACT.into(),
        network: known.network(),
        amount,
        asset: asset.into(),
        pay_to: pay_to.into(),
        max_timeout_seconds: 60,
        extra: Extra::Evm(EvmExtra {
            method: AssetTransferMethod::Eip3009,
            domain: Some(named.clone()),
            facilitator: None,
        }),
    };
    let v1 = PaymentRequirementsV1 {
        scheme: SCHEME_EXACT.into(),
        network: known.name.into(),
        max_amount_required: amount,
        resource: "to be replaced".into(),
        description: "".into(),
        mime_type: "".into(),
        pay_to: pay_to.into(),
        max_timeout_seconds: 60,
        asset: asset.into(),
        extra: ExtraV1::Evm(named),
    };
    let payments = Eip712Domain::new(evm.eip712_name, "2", evm.chain_id, asset);
    let domains = Domains::Evm(EvmDomains { payments, approvals: None });
    OfferedBy {
        offer: Arc::new(Offer { requirements, v1: Some(v1), domains }),
        decimals: known.decimals,
        catalogued: None,
        facilitators: [Arc::from("dev")].into(),
        risk: None,
        usage: None,
    }
}

fn declared(identifying: Identifying) -> Declared {
    Declared { identifying, bazaar: None, sign_in: None }
}

fn terms(pattern: &str, networks: &[&str]) -> Terms {
    let about = Resource {
        url: "https://api.example.com/".into(),
        description: "Remove the background from an image".into(),
        mime_type: "image/png".into(),
    };
    let offers = networks.iter().map(|network| offered(network)).collect();
    let path = pattern.parse::<Pattern>().unwrap().path;
    Terms::new(about, &path, offers, declared(Identifying::Off)).unwrap()
}

fn read(challenge: &Challenge) -> (Value, Value) {
    let header = encoding::decode(&challenge.header).unwrap();
    (serde_json::from_slice(&header).unwrap(), serde_json::from_slice(&challenge.body).unwrap())
}

fn path(text: &str) -> CanonicalPath<'_> {
    CanonicalPath::new(text.as_bytes()).unwrap()
}

#[test]
fn both_versions_say_the_same() {
    let terms = terms("POST /v1/remove-background", &["base"]);
    let (v2, v1) = read(&terms.challenge);
    let url = "https://api.example.com/v1/remove-background";
    assert_eq!(v2["x402Version"], 2);
    assert_eq!(v1["x402Version"], 1);
    assert_eq!(v2["error"], "payment_required");
    assert_eq!(v1["error"], "payment_required");
    assert_eq!(v2["resource"]["url"], url);
    assert_eq!(v2["resource"]["mimeType"], "image/png");
    assert_eq!(v2["accepts"][0]["network"], "eip155:8453");
    assert_eq!(v2["accepts"][0]["amount"], "50000");
    assert_eq!(
        v1["accepts"],
        json!([{
            "scheme": "exact",
            "network": "base",
            "maxAmountRequired": "50000",
            "resource": url,
            "description": "Remove the background from an image",
            "mimeType": "image/png",
            "payTo": Address::repeat_byte(7).to_checksum(None),
            "maxTimeoutSeconds": 60,
            "asset": "0x833589fCD6eDb6E08f4c7C32D4f71b54bdA02913",
            "extra": {"name": "USD Coin", "version": "2"},
        }])
    );
}

#[test]
fn version_1_lists_networks_that_all_its_clients_know_or_all_there_are() {
    let networks = |listed: &[&str]| {
        let (v2, v1) = read(&terms("/a", listed).challenge);
        let of = |body: Value, version: &str| {
            let accepts = body["accepts"].as_array().unwrap().clone();
            let names = accepts.iter().map(|offer| offer["network"].as_str().unwrap().to_owned());
            assert!(names.len() > 0, "{version}");
            names.collect::<Vec<_>>()
        };
        assert_eq!(of(v2, "v2").len(), listed.len());
        of(v1, "v1")
    };
    assert_eq!(networks(&["polygon", "base", "base-sepolia"]), ["base", "base-sepolia"]);
    assert_eq!(networks(&["polygon", "polygon-amoy"]), ["polygon", "polygon-amoy"]);
}

#[test]
fn what_permit2_moves_is_offered_in_version_2_alone() {
    let mut offers = ["base", "polygon"].map(|network| (*offered(network).offer).clone());
    let Extra::Evm(extra) = &mut offers[0].requirements.extra else { panic!("of Base") };
    extra.method = AssetTransferMethod::Permit2;
    offers[0].v1 = None;
    let about = |offers: &[Offer]| {
        let offers: Vec<_> = offers.iter().cloned().map(Arc::new).collect();
        let about = Resource { url: "https://a/".into(), ..terms("/a", &["base"]).resource };
        read(&Challenge::new(&about, &offers, &declared(Identifying::Off), "").unwrap())
    };
    let (v2, v1) = about(&offers);
    let extra = json!({"assetTransferMethod": "permit2", "name": "USD Coin", "version": "2"});
    assert_eq!((&v2["accepts"][0]["extra"], v2.get("extensions")), (&extra, None));
    assert_eq!(v1["accepts"].as_array().unwrap().len(), 1);
    assert_eq!(v1["accepts"][0]["network"], "polygon");

    offers[0].domains = sponsored(&offers[0]);
    let (v2, _) = about(&offers);
    let declared = &v2["extensions"]["eip2612GasSponsoring"];
    assert_eq!(declared["info"]["version"], "1");
    assert_eq!(declared["schema"]["required"].as_array().unwrap().len(), 8);
    let read: crate::x402::PaymentRequired = serde_json::from_value(v2).unwrap();
    assert!(read.extensions.eip2612_gas_sponsoring.is_some());
}

#[test]
fn a_fixed_path_has_its_402_ready_made() {
    let terms = terms("POST /v1/a", &["base"]);
    assert_eq!(terms.challenge_at(&path("/v1/a")), terms.challenge);
    assert_eq!(&*terms.url_of(&path("/v1/a")), "https://api.example.com/v1/a");
}

#[test]
fn a_route_of_many_paths_names_the_path_of_the_request() {
    for pattern in ["/v1/{id}", "/v1/*"] {
        let terms = terms(pattern, &["base"]);
        assert_eq!(&*terms.resource.url, format!("https://api.example.com{pattern}"));
        let (v2, v1) = read(&terms.challenge_at(&path("/v1/x%20y")));
        assert_eq!(v2["resource"]["url"], "https://api.example.com/v1/x%20y");
        assert_eq!(v1["accepts"][0]["resource"], "https://api.example.com/v1/x%20y");
    }
}

#[test]
fn a_url_too_long_for_the_header_is_named_by_its_pattern() {
    let terms = terms("/v1/{id}", &["base"]);
    let long = format!("/v1/{}", "a".repeat(7000));
    let challenge = terms.challenge_at(&path(&long));
    assert!(challenge.header.len() <= HEADER_BYTES_MAX);
    assert_eq!(read(&challenge).0["resource"]["url"], "https://api.example.com/v1/{id}");
}

#[test]
fn a_refused_payment_gets_its_reason() {
    let terms = terms("/v1/a", &["base"]);
    let (v2, v1) = read(&terms.challenge_for(&terms.resource.url, "insufficient_funds"));
    assert_eq!(v2["error"], "insufficient_funds");
    assert_eq!(v1["error"], "insufficient_funds");
    assert_eq!(v2["resource"]["url"], "https://api.example.com/v1/a");
}

#[test]
fn a_402_that_cannot_be_sent_is_an_error() {
    let offers = [offered("base").offer];
    let about = |length| Resource {
        url: "https://a/".into(),
        description: "x".repeat(length).into(),
        mime_type: "".into(),
    };
    assert!(Challenge::new(&about(5000), &offers, &declared(Identifying::Off), "").is_ok());
    let long = Challenge::new(&about(6000), &offers, &declared(Identifying::Off), "");
    let error = long.unwrap_err();
    assert!(error.to_string().contains("shorten the description"), "{error}");
    // What catalogues read is the first to go.
    let bazaar = Some(serde_json::Value::from("b".repeat(2000)));
    let told = |length| {
        let declared = Declared { bazaar: bazaar.clone(), ..declared(Identifying::Off) };
        read(&Challenge::new(&about(length), &offers, &declared, "").unwrap()).0
    };
    assert_eq!(told(1)["extensions"]["bazaar"], bazaar.clone().unwrap());
    assert!(told(5000).get("extensions").is_none());
    let error = Challenge::new(&about(1), &[], &declared(Identifying::Off), "").unwrap_err();
    assert!(matches!(error, ChallengeError::NoOffers));
}

/// The domains of an offer that takes approvals, too.
fn sponsored(offer: &Offer) -> Domains {
    let payments = offer.evm().unwrap().payments;
    Domains::Evm(EvmDomains { payments, approvals: Some(payments) })
}

fn by_permit2(mut by: OfferedBy) -> OfferedBy {
    let offer = Arc::make_mut(&mut by.offer);
    offer.domains = sponsored(offer);
    offer.requirements.extra = Extra::Evm(EvmExtra {
        method: AssetTransferMethod::Permit2,
        domain: None,
        facilitator: None,
    });
    offer.v1 = None;
    by
}

#[test]
fn all_that_the_server_understands_stands_under_its_own_name() {
    let offers = [Arc::clone(&by_permit2(offered("base")).offer)];
    let about = terms("/paid", &["base"]).resource;
    for (identifying, names) in [
        (Identifying::Off, vec!["eip2612GasSponsoring"]),
        (Identifying::Required, vec!["eip2612GasSponsoring", "payment-identifier"]),
    ] {
        let declared = declared(identifying);
        let (header, _) = read(&Challenge::new(&about, &offers, &declared, "").unwrap());
        let extensions = header["extensions"].as_object().unwrap();
        assert_eq!(extensions.keys().collect::<Vec<_>>(), names);
        assert!(extensions.values().all(|said| said["info"].is_object()), "{extensions:?}");
    }
}

#[test]
fn an_offer_that_was_moved_in_another_way_is_one_of_its_own() {
    let (until, now) = (UnixMillis::new(2_000), UnixMillis::new(1_000));
    let before = terms("/paid", &["base"]);
    let mut after = terms("/paid", &["base"]);
    after.honour(&before, until, now);
    assert!(after.honoured.is_empty());
    after.offers = after.offers.into_iter().map(by_permit2).collect();
    after.honour(&before, until, now);
    let [past] = after.honoured.as_slice() else { panic!("{:?}", after.honoured) };
    assert_eq!(past.by.offer.method(), Some(AssetTransferMethod::Eip3009));
}

/// An offer on Solana devnet, as it is configured.
fn on_solana() -> OfferedBy {
    let known = KnownNetwork::named("solana-devnet").unwrap();
    let extra = SvmExtra::of_nobody(None);
    let mut by = offered("base-sepolia");
    let offer = Arc::make_mut(&mut by.offer);
    offer.domains = Domains::Svm;
    offer.requirements.network = known.network();
    offer.requirements.asset = known.usdc.parse().unwrap();
    offer.requirements.pay_to = Pubkey::new_from_array([7; 32]).into();
    offer.requirements.extra = Extra::Svm(extra.clone());
    let v1 = offer.v1.as_mut().unwrap();
    (v1.network, v1.extra) = (known.name.into(), ExtraV1::Svm(extra));
    by
}

fn paying(number: u8) -> impl Fn(&OfferedBy) -> Option<FeePayer> {
    let key = Pubkey::new_from_array([number; 32]).into();
    move |_| Some(FeePayer { key, facilitators: [Arc::from("dev")].into() })
}

fn fee_payers(terms: &Terms) -> Vec<u8> {
    let offers = terms.offers.iter().filter_map(|by| by.offer.svm());
    offers.map(|due| due.extra.fee_payer.to_bytes()[0]).collect()
}

#[test]
fn what_nobody_pays_the_fee_of_is_not_offered() {
    let about = Resource { url: "https://a/".into(), ..terms("/a", &["base"]).resource };
    let path = "/a".parse::<Pattern>().unwrap().path;
    let wanted = vec![on_solana(), offered("base")];
    let (until, now) = (UnixMillis::new(2_000), UnixMillis::new(1_000));
    let mut terms = Terms::new(about, &path, wanted, declared(Identifying::Off)).unwrap();
    let (v2, v1) = read(&terms.challenge);
    assert_eq!(v2["accepts"].as_array().unwrap().len(), 1);
    assert_eq!(v1["accepts"][0]["network"], "base");
    assert!(terms.awaits("solana-devnet") && !terms.awaits("base") && !terms.awaits("polygon"));

    terms.ready.get_or_init(Box::default);
    assert!(!terms.is_told(&paying(4)));
    terms.tell(&paying(4), until, now);
    assert!(terms.is_told(&paying(4)) && !terms.is_told(&paying(5)));
    assert!(terms.ready.get().is_none(), "an answer of before");
    assert!(terms.honoured.is_empty(), "nothing on Solana was offered before");
    let (v2, _) = read(&terms.challenge);
    let key = Pubkey::new_from_array([4; 32]).to_string();
    assert_eq!(v2["accepts"][0]["extra"], json!({ "feePayer": key }));
    assert!(!terms.awaits("solana-devnet"));
    // Silence takes nothing back.
    assert!(terms.is_told(&|_: &OfferedBy| None));
}

#[test]
fn who_paid_fees_before_is_taken_for_a_while() {
    let about = Resource { url: "https://a/".into(), ..terms("/a", &["base"]).resource };
    let path = "/a".parse::<Pattern>().unwrap().path;
    let mut terms =
        Terms::new(about, &path, vec![on_solana()], declared(Identifying::Off)).unwrap();
    assert!(terms.offers.is_empty());
    let at = |seconds: i64| UnixMillis::new(seconds * 1_000);
    terms.tell(&paying(4), at(300), at(0));
    terms.tell(&paying(5), at(400), at(100));
    assert_eq!(fee_payers(&terms), [5]);
    terms.tell(&paying(6), at(500), at(200));
    let past = |terms: &Terms| -> Vec<(u8, UnixMillis)> {
        let of = |past: &Honoured| past.by.offer.svm().unwrap().extra.fee_payer.to_bytes()[0];
        terms.honoured.iter().map(|past| (of(past), past.until)).collect()
    };
    assert_eq!(past(&terms), [(5, at(500)), (4, at(400))]);
    terms.tell(&paying(5), at(800), at(450));
    assert_eq!(past(&terms), [(6, at(800))], "the first is over, the second is told again");
}
