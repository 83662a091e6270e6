//! What is poured into a connection of HTTP/2.

use super::http2::NAME;
use crate::support::frames::{
    CONTINUATION, DATA, END_HEADERS, END_STREAM, HEADERS, PING, PRIORITY, RESET, SETTINGS, WINDOW,
    block, frame, number, request,
};

/// What is sent again and again, so many times, after the connection has begun.
pub(super) fn floods() -> Vec<Flood> {
    floods_of_requests().into_iter().chain(floods_of_frames()).collect()
}

/// Its name, what is sent each time, and how often.
pub(super) type Flood = (&'static str, Box<dyn Fn(u32) -> Vec<u8>>, u32);

fn floods_of_requests() -> Vec<Flood> {
    let free = || request("GET", "/free/a", NAME, &[]);
    let whole = END_HEADERS | END_STREAM;
    let odd = |at: u32| 2 * at + 1;
    let reset = |stream| frame(RESET, 0, stream, &8_u32.to_be_bytes());
    vec![
        (
            "requests that are taken back at once",
            Box::new(move |at| [frame(HEADERS, whole, odd(at), &free()), reset(odd(at))].concat()),
            5_000,
        ),
        (
            "bodies that are taken back at once",
            Box::new(move |at| {
                let head = request("POST", "/paid", NAME, &[]);
                [frame(HEADERS, END_HEADERS, odd(at), &head), reset(odd(at))].concat()
            }),
            5_000,
        ),
        (
            "requests that the server takes back",
            Box::new(move |at| {
                let ends = frame(HEADERS, whole, odd(at), &free());
                [ends, frame(WINDOW, 0, odd(at), &[0; 4])].concat()
            }),
            5_000,
        ),
        (
            "bodies that never come",
            Box::new(move |at| {
                frame(HEADERS, END_HEADERS, odd(at), &request("POST", "/paid", NAME, &[]))
            }),
            2_000,
        ),
    ]
}

fn floods_of_frames() -> Vec<Flood> {
    let free = || request("GET", "/free/a", NAME, &[]);
    let odd = |at: u32| 2 * at + 1;
    vec![
        (
            "headers without an end",
            Box::new(move |at| match at {
                0 => frame(HEADERS, 0, 1, &free()),
                _ => frame(CONTINUATION, 0, 1, &block(&[("x-a", &"x".repeat(16_000))])),
            }),
            5_000,
        ),
        (
            "headers without an end that say nothing",
            Box::new(move |at| match at {
                0 => frame(HEADERS, 0, 1, &free()),
                _ => frame(CONTINUATION, 0, 1, &[]),
            }),
            200_000,
        ),
        (
            "small headers that unfold",
            Box::new(move |at| {
                // 4,000 bytes that the table remembers, then one byte for each time they are meant.
                let text = "x".repeat(3_900);
                let literal = [vec![0x40, 1, b'a'], number(text.len(), 7), text.into()].concat();
                let block = [free(), literal, vec![0x80 | 62; 10_000]].concat();
                frame(HEADERS, END_HEADERS | END_STREAM, odd(at), &block)
            }),
            50,
        ),
        ("pings", Box::new(|_| frame(PING, 0, 0, &[0; 8])), 200_000),
        ("settings", Box::new(|_| frame(SETTINGS, 0, 0, &[0, 4, 0, 0, 255, 255])), 100_000),
        ("priorities", Box::new(move |at| frame(PRIORITY, 0, odd(at), &[0, 0, 0, 0, 1])), 100_000),
        ("windows", Box::new(|_| frame(WINDOW, 0, 0, &[0, 0, 0, 1])), 200_000),
        ("frames of no kind", Box::new(|_| frame(99, 0, 0, &[0; 1_000])), 20_000),
        (
            "pieces without a byte",
            Box::new(move |at| match at {
                0 => frame(HEADERS, END_HEADERS, 1, &request("POST", "/free/a", NAME, &[])),
                _ => frame(DATA, 0, 1, &[]),
            }),
            200_000,
        ),
        (
            "more than the window",
            Box::new(move |at| match at {
                0 => frame(HEADERS, END_HEADERS, 1, &request("POST", "/paid", NAME, &[])),
                _ => frame(DATA, 0, 1, &[b'x'; 16_000]),
            }),
            1_000,
        ),
    ]
}
