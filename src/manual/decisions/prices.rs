//! Decisions on prices that depend on the request, and on refusals in another API's words.
//!
//! # What a price rule looks at has one reading or is refused
//!
//! A request is priced here and served there. Where the two read it differently, who asks chooses
//! the cheap reading for us and the dear one for the upstream. So a field that is there twice, or
//! once more in another case (Go reads `Mode` as `mode`), a number that is not whole (`1e1` is 10),
//! a query with a name twice, as a list or behind a `;`, a header that `Connection` takes off or
//! that `_` spells again, JSON that is announced as a form, packed or in UTF-7: all of that is 400
//! or 415 on a paid request. On one without payment it is a 402 at the price of no rule: it is no
//! sale, and catalogues probe with empty bodies.
//!
//! A spelling of a *value* that only the upstream takes for another (`EXPERT`) cannot be known
//! here. The README says to make the dearest price the route's, and rules the cheaper ones.
//!
//! # A body that sets the price is read first, up to 64 KiB
//!
//! That is what pingora keeps and sends again, in HTTP/1 and HTTP/2, after a filter has read it.
//! A longer body would have to be judged while the upstream has the head already. A body that was
//! announced in pieces and has none is 400: pingora would never tell the upstream of its end.
//!
//! # What is owed is owed for the price that was paid
//!
//! With `settle = "before-upstream"` an answer that did not come may be asked for again with
//! another request of the route. Where prices depend on the request, only with one of the same
//! price; an amount that no rule asks any more, after a reload, counts for any.
//!
//! # One word for a whole shape of refusals
//!
//! `refusals = "assistant"` says statuses and codes of one published API, in one exhaustive table,
//! rather than a mapping to be configured: a table that an operator writes could turn "do not pay
//! again" into a 402. Metrics and the log keep our own codes. A 401 carries terms as a 402 does, so
//! that a client that looks for them can pay; and a `WWW-Authenticate`, which HTTP wants.
//!
//! # A document of OpenAPI is held against paid requests only
//!
//! Whoever has not paid is told the price, whatever the body: catalogues probe with nothing. Of a
//! paid request the parameters and the JSON body are judged before its signature is, and a refusal
//! names the field and not its value. Schemas are compiled when the file is read; a reference out
//! of the document is a mistake then, because nothing is fetched, and patterns are matched in
//! linear time. Parts of the path, cookies and lists in a query are left to the upstream.
