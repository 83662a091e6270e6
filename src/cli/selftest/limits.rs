//! Whether the limit on unpaid requests holds, also for a client that says it is others.

use std::io::Write;

use super::SelftestError;
use super::example::request_of;
use super::knock::Request;
use super::report::{Report, Wrong};
use super::trial::Place;
use crate::limit::Rate;
use crate::route::Route;

/// Asks until the limit says no, each time with another `X-Forwarded-For`, from one address.
pub(super) async fn unpaid(
    route: Option<&Route>,
    rate: Option<Rate>,
    place: &Place<'_>,
    report: &mut Report<impl Write>,
) -> Result<(), SelftestError> {
    let what = "the limit on unpaid requests holds for one client that names others";
    let Some(rate) = rate else {
        return Ok(report.skip(what, "there is none (limits.unpaid)")?);
    };
    let Some(route) = route else { return Ok(report.skip(what, "no route has a price")?) };
    if rate.count().get() > COUNT_MAX {
        return Ok(report.skip(what, &format!("{rate} is more than {COUNT_MAX} at once"))?);
    }
    let found = exceed(&request_of(route), rate, place).await;
    report.check(&format!("{what} ({rate})"), found)?;
    Ok(())
}

async fn exceed(request: &Request, rate: Rate, place: &Place<'_>) -> Result<(), Wrong> {
    let from = place.origins.next();
    let (count, began) = (rate.count().get(), place.clock.now());
    let mut sent = 0_u32;
    loop {
        let forged = format!("198.51.{}.{}", sent / 250, sent % 250);
        let request = request.with("X-Forwarded-For", &forged).with("Forwarded", "for=192.0.2.1");
        let answer = request.send(place.gateway, from).await.map_err(|error| error.to_string())?;
        let limited = answer.status == 429;
        if limited && sent < count {
            return Err(format!("request {} of {count} was refused", sent.saturating_add(1)));
        }
        if limited && answer.headers.contains_key("retry-after") {
            return Ok(());
        }
        if limited {
            return Err("429 without Retry-After".to_owned());
        }
        sent = sent.saturating_add(1);
        // While this went on the bucket has filled again, by so much.
        let millis = place.clock.now().millis().saturating_sub(began.millis());
        let interval = i64::try_from(rate.interval().as_millis()).unwrap_or(i64::MAX).max(1);
        let refilled = u32::try_from(millis.div_euclid(interval)).unwrap_or(u32::MAX);
        if sent > count.saturating_add(refilled).saturating_add(1) {
            return Err(format!("{sent} requests passed"));
        }
    }
}

const COUNT_MAX: u32 = 2_000;
