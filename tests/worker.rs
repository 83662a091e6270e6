//! The background remover as a process: every answer of its contract, over real sockets.
#![cfg(feature = "worker")]
#![allow(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    clippy::panic,
    reason = "helpers of tests fail like tests"
)]

use std::io::{BufRead, BufReader, Cursor, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::process::{Child, Command, Stdio};

use image::{DynamicImage, ImageFormat, Rgb, RgbImage, Rgba};
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use reqwest::header::{CONTENT_TYPE, RETRY_AFTER};
use reqwest::{Client, Method, Response, StatusCode};
use serde_json::Value;

use crate::support::{PATIENCE, eventually};

mod alone;
mod hostile;
mod long;
mod models;
mod pictures;

/// A running worker; ended with the test.
pub(crate) struct Worker {
    child: Child,
    address: SocketAddr,
}

impl Worker {
    fn start(arguments: &[&str]) -> Self {
        Self::start_with(arguments, &[])
    }

    pub(crate) fn start_with(arguments: &[&str], variables: &[(&str, &str)]) -> Self {
        let mut child = Command::new(env!("CARGO_BIN_EXE_tollgate"))
            .args(["worker", "background-removal", "--listen", "127.0.0.1:0", "--supervised"])
            .args(arguments)
            .envs(variables.iter().copied())
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let mut line = String::new();
        BufReader::new(child.stdout.take().unwrap()).read_line(&mut line).unwrap();
        let address = line.strip_prefix("listening ").unwrap().trim_end().parse().unwrap();
        Self { child, address }
    }

    /// One that says where it listens in its log alone, and perhaps is not ready.
    fn unannounced(arguments: &[&str]) -> Self {
        let mut child = Command::new(env!("CARGO_BIN_EXE_tollgate"))
            .args(["worker", "background-removal", "--listen", "127.0.0.1:0"])
            .args(arguments)
            .env("TOLLGATE_LOG", "info")
            .stdin(Stdio::null())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        let mut lines = BufReader::new(child.stderr.take().unwrap()).lines();
        let line: Value = serde_json::from_str(&lines.next().unwrap().unwrap()).unwrap();
        // Whatever else it says must not stop it.
        std::thread::spawn(move || lines.count());
        let address = line["fields"]["address"].as_str().unwrap().parse().unwrap();
        Self { child, address }
    }

    async fn send(&self, path: &str, media_type: &str, body: Vec<u8>) -> Response {
        let request = client().post(format!("http://{}{path}", self.address));
        request.header(CONTENT_TYPE, media_type).body(body).send().await.unwrap()
    }

    async fn get(&self, path: &str) -> Response {
        client().get(format!("http://{}{path}", self.address)).send().await.unwrap()
    }

    /// Waits for a line of its metrics.
    async fn comes_to_say(&self, line: &str) {
        eventually(line, async || {
            let page = self.get("/metrics").await.text().await.unwrap();
            page.lines().any(|told| told == line).then_some(())
        })
        .await;
    }

    /// Ends by itself, soon, and well.
    async fn ends(&mut self) {
        let status = eventually("its end", async || self.child.try_wait().unwrap()).await;
        assert!(status.success(), "{status}");
    }

    /// Sends an image and decodes the answer.
    pub(crate) async fn cut(&self, path: &str, media_type: &str, body: Vec<u8>) -> DynamicImage {
        let response = self.send(path, media_type, body).await;
        assert_eq!(response.status(), StatusCode::OK);
        let format = match response.headers()[CONTENT_TYPE].to_str().unwrap() {
            "image/png" => ImageFormat::Png,
            "image/webp" => ImageFormat::WebP,
            other => panic!("{other}"),
        };
        image::load_from_memory_with_format(&response.bytes().await.unwrap(), format).unwrap()
    }

    /// Bytes of memory that it has now.
    fn memory(&self) -> u64 {
        self.status("VmRSS:")
    }

    /// The most that it ever had.
    fn memory_peak(&self) -> u64 {
        self.status("VmHWM:")
    }

    fn status(&self, name: &str) -> u64 {
        let path = format!("/proc/{}/status", self.child.id());
        let status = std::fs::read_to_string(path).unwrap();
        let line = status.lines().find_map(|line| line.strip_prefix(name)).unwrap();
        line.split_whitespace().next().unwrap().parse::<u64>().unwrap() * 1024
    }

    /// A request of which only the head was sent, and which the worker has begun to read.
    fn half_sent(&self, body_length: usize) -> TcpStream {
        let mut stream = TcpStream::connect(self.address).unwrap();
        let head = head(&format!("Content-Length: {body_length}\r\nExpect: 100-continue"));
        stream.write_all(head.as_bytes()).unwrap();
        // The worker asks for the body once the request has its place.
        let mut asked = [0; 25];
        stream.read_exact(&mut asked).unwrap();
        assert_eq!(&asked, b"HTTP/1.1 100 Continue\r\n\r\n");
        stream
    }
}

impl Drop for Worker {
    fn drop(&mut self) {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
    }
}

fn client() -> Client {
    // Another test may have been first, which is as good.
    drop(rustls::crypto::ring::default_provider().install_default());
    Client::new()
}

fn head(headers: &str) -> String {
    format!("POST {PATH} HTTP/1.1\r\nHost: worker\r\nContent-Type: image/png\r\n{headers}\r\n\r\n")
}

/// What is still to be read, as text.
fn rest(mut stream: TcpStream) -> String {
    stream.set_read_timeout(Some(PATIENCE)).unwrap();
    let mut text = Vec::new();
    stream.read_to_end(&mut text).unwrap();
    String::from_utf8_lossy(&text).into_owned()
}

/// The contract, as the worker gives it out.
fn document() -> Value {
    serde_json::from_str(include_str!("../src/worker/openapi.json")).unwrap()
}

async fn is_problem(response: Response, code: &str, retryable: bool) {
    let (document, status) = (document(), response.status().as_u16().to_string());
    let codes = &document["components"]["schemas"]["Problem"]["properties"]["error"]["enum"];
    assert!(codes.as_array().unwrap().contains(&code.into()), "{code} is not documented");
    // Other paths and methods are not part of it.
    let statuses = &document["paths"][PATH]["post"]["responses"];
    let known = ["404", "405"].contains(&status.as_str()) || statuses.get(&status).is_some();
    assert!(known, "{status} is not documented");
    let body: Value = serde_json::from_slice(&response.bytes().await.unwrap()).unwrap();
    assert_eq!(body["error"], code, "{body}");
    assert_eq!(body["retryable"], retryable, "{body}");
    assert!(body["message"].is_string(), "{body}");
}

async fn check(path: &str, media_type: &str, body: Vec<u8>, expected: (StatusCode, &str)) {
    let worker = Worker::start(&[]);
    let response = worker.send(path, media_type, body).await;
    assert_eq!(response.status(), expected.0);
    is_problem(response, expected.1, false).await;
    // Whatever it was, the worker is as good as before.
    assert!(worker.cut(PATH, "image/png", png()).await.has_alpha());
}

/// A grey photo with a red and a green patch in its upper left.
fn photo() -> RgbImage {
    RgbImage::from_fn(128, 96, |x, y| match (x, y) {
        (24..48, 20..60) => Rgb([210, 30, 30]),
        (48..72, 20..60) => Rgb([30, 190, 40]),
        _ => Rgb([150, 150, 155]),
    })
}

fn file(image: &DynamicImage, format: ImageFormat) -> Vec<u8> {
    let mut file = Cursor::new(Vec::new());
    image.write_to(&mut file, format).unwrap();
    file.into_inner()
}

fn png() -> Vec<u8> {
    file(&photo().into(), ImageFormat::Png)
}

fn jpeg() -> Vec<u8> {
    file(&photo().into(), ImageFormat::Jpeg)
}

fn webp() -> Vec<u8> {
    file(&photo().into(), ImageFormat::WebP)
}

/// A PNG of these dimensions and of nothing else.
fn png_header(width: u32, height: u32) -> Vec<u8> {
    let mut header = b"IHDR".to_vec();
    header.extend(width.to_be_bytes());
    header.extend(height.to_be_bytes());
    header.extend([8, 2, 0, 0, 0]);
    let mut file = b"\x89PNG\r\n\x1a\n".to_vec();
    for chunk in [&header[..], b"IDAT", b"IEND"] {
        file.extend(u32::try_from(chunk.len() - 4).unwrap().to_be_bytes());
        file.extend(chunk);
        file.extend(crc(chunk).to_be_bytes());
    }
    file
}

/// The checksum of PNG and gzip.
fn crc(bytes: &[u8]) -> u32 {
    !bytes.iter().fold(u32::MAX, |crc, &byte| {
        (0..8).fold(crc ^ u32::from(byte), |crc, _| (crc >> 1) ^ (0xedb8_8320 * (crc & 1)))
    })
}

/// The patches are where they are in [`photo`], and what is around them is gone.
#[track_caller]
fn is_cut_photo(image: &DynamicImage) {
    let image = image.to_rgba8();
    assert_eq!(image.dimensions(), (128, 96));
    let Rgba([red, green, _, opacity]) = *image.get_pixel(36, 40);
    assert!(red > 150 && green < 90 && opacity == 255, "{red} {green} {opacity}");
    let Rgba([red, green, _, opacity]) = *image.get_pixel(60, 40);
    assert!(red < 90 && green > 130 && opacity == 255, "{red} {green} {opacity}");
    for (x, y) in [(2, 2), (125, 2), (2, 93), (125, 93), (100, 40), (48, 80)] {
        assert_eq!(image.get_pixel(x, y)[3], 0, "{x} {y}");
    }
}

const PATH: &str = "/v1/remove-background";
const BAD: StatusCode = StatusCode::BAD_REQUEST;

#[tokio::test]
async fn each_kind_of_file_comes_back_as_png() {
    let worker = Worker::start(&[]);
    is_cut_photo(&worker.cut(PATH, "image/png", png()).await);
    is_cut_photo(&worker.cut(PATH, "image/jpeg", jpeg()).await);
    is_cut_photo(&worker.cut(PATH, "image/webp; q=1", webp()).await);
}

#[tokio::test]
async fn text_is_not_an_image() {
    check(PATH, "image/png", b"hello".to_vec(), (BAD, "not_an_image")).await;
}

#[tokio::test]
async fn nothing_is_not_an_image() {
    check(PATH, "image/png", Vec::new(), (BAD, "not_an_image")).await;
}

#[tokio::test]
async fn a_jpeg_that_is_called_a_png_is_refused() {
    check(PATH, "image/png", jpeg(), (BAD, "type_disagrees")).await;
}

#[tokio::test]
async fn half_a_file_is_refused() {
    for (media_type, file) in [("image/png", png()), ("image/jpeg", jpeg()), ("image/webp", webp())]
    {
        let half = file[..file.len() / 2].to_vec();
        check(PATH, media_type, half, (BAD, "truncated")).await;
        let most = file[..file.len() - 1].to_vec();
        check(PATH, media_type, most, (BAD, "truncated")).await;
        let little = file[..20].to_vec();
        check(PATH, media_type, little, (BAD, "truncated")).await;
    }
}

#[tokio::test]
async fn a_damaged_file_is_refused() {
    let mut file = png();
    let middle = file.len() / 2;
    file[middle] ^= 0xff;
    check(PATH, "image/png", file, (BAD, "undecodable")).await;
}

#[tokio::test]
async fn a_file_without_pixels_is_refused() {
    check(PATH, "image/png", png_header(10_000, 10_000), (BAD, "undecodable")).await;
}

#[tokio::test]
async fn a_side_of_10_001_pixels_is_refused() {
    check(PATH, "image/png", png_header(10_001, 1), (BAD, "dimensions_too_large")).await;
    check(PATH, "image/png", png_header(1, 10_001), (BAD, "dimensions_too_large")).await;
}

#[tokio::test]
async fn a_billion_pixels_are_refused_by_their_header() {
    check(PATH, "image/png", png_header(1 << 30, 1 << 30), (BAD, "dimensions_too_large")).await;
}

#[tokio::test]
async fn a_parameter_or_value_that_is_not_known_is_refused_and_named() {
    let worker = Worker::start(&[]);
    for (query, parameter) in [
        ("format=gif", "format"),
        ("size=small", "size"),
        ("output=both", "output"),
        ("background=white", "background"),
        ("crop=yes", "crop"),
        ("crop=subject&crop=subject", "crop"),
        ("output=mask&background=%23ffffff", "background"),
    ] {
        let response = worker.send(&format!("{PATH}?{query}"), "image/png", png()).await;
        assert_eq!(response.status(), BAD, "{query}");
        let body: Value = serde_json::from_slice(&response.bytes().await.unwrap()).unwrap();
        assert_eq!(body["error"], "bad_query", "{body}");
        assert_eq!(body["parameter"], parameter, "{body}");
        assert_eq!(body["retryable"], false, "{body}");
    }
}

#[tokio::test]
async fn a_type_that_is_not_taken_is_refused() {
    let expected = (StatusCode::UNSUPPORTED_MEDIA_TYPE, "unsupported_type");
    check(PATH, "image/gif", png(), expected).await;
}

#[tokio::test]
async fn a_path_that_is_not_there_is_not_found() {
    check("/v1/other", "image/png", png(), (StatusCode::NOT_FOUND, "not_found")).await;
}

#[tokio::test]
async fn a_method_that_is_not_post_is_refused() {
    let worker = Worker::start(&[]);
    let url = format!("http://{}{PATH}", worker.address);
    let response = client().request(Method::PUT, url).send().await.unwrap();
    assert_eq!(response.status(), StatusCode::METHOD_NOT_ALLOWED);
    is_problem(response, "method_not_allowed", false).await;
}

#[tokio::test]
async fn a_body_over_25_megabytes_is_refused_and_its_sender_told() {
    let expected = (StatusCode::PAYLOAD_TOO_LARGE, "body_too_large");
    check(PATH, "image/png", vec![0; 25_000_001], expected).await;
}

#[tokio::test]
async fn a_length_over_25_megabytes_is_refused_before_the_body_is_sent() {
    let worker = Worker::start(&[]);
    let mut stream = TcpStream::connect(worker.address).unwrap();
    let head = head("Content-Length: 25000001\r\nExpect: 100-continue");
    stream.write_all(head.as_bytes()).unwrap();
    let mut status = [0; 12];
    stream.read_exact(&mut status).unwrap();
    assert_eq!(&status, b"HTTP/1.1 413");
}

#[tokio::test]
async fn a_streamed_body_is_cut_off_at_25_megabytes() {
    let worker = Worker::start(&[]);
    let mut stream = TcpStream::connect(worker.address).unwrap();
    let head = head("Transfer-Encoding: chunked\r\nConnection: close");
    stream.write_all(head.as_bytes()).unwrap();
    stream.write_all(b"17d7841\r\n").unwrap();
    stream.write_all(&vec![0; 0x17d_7841]).unwrap();
    stream.write_all(b"\r\n0\r\n\r\n").unwrap();
    let answer = rest(stream);
    assert!(answer.starts_with("HTTP/1.1 413"), "{answer}");
    assert!(answer.contains("body_too_large"), "{answer}");
}

#[tokio::test]
async fn who_finds_the_queue_full_is_told_when_to_come_back() {
    let worker = Worker::start(&["--parallel", "1", "--queue", "1"]);
    let (first, second) = (worker.half_sent(9), worker.half_sent(9));
    let response = worker.send(PATH, "image/png", png()).await;
    assert_eq!(response.status(), StatusCode::SERVICE_UNAVAILABLE);
    let seconds: u32 = response.headers()[RETRY_AFTER].to_str().unwrap().parse().unwrap();
    assert!(seconds > 0);
    is_problem(response, "processor_unavailable", true).await;
    // It is turned away by the worker, not by a Service that asks nobody.
    for probe in ["/readyz", "/livez"] {
        assert_eq!(worker.get(probe).await.status(), StatusCode::OK);
    }

    // A client that leaves frees its place.
    drop(first);
    worker.comes_to_say("tollgate_worker_images_waiting 1").await;
    is_cut_photo(&worker.cut(PATH, "image/png", png()).await);
    drop(second);
}

#[tokio::test]
async fn who_is_not_served_by_the_deadline_is_told_when_to_come_back() {
    let worker = Worker::start(&["--deadline", "1ms", "--parallel", "1", "--queue", "0"]);
    let response = worker.send(PATH, "image/png", png()).await;
    assert_eq!(response.status(), StatusCode::SERVICE_UNAVAILABLE);
    assert!(response.headers().contains_key(RETRY_AFTER));
    is_problem(response, "processor_unavailable", true).await;
    // The image was given up, and its place is free.
    worker.comes_to_say("tollgate_worker_images_waiting 0").await;
    for what in ["images_working 0", "memory_bytes 0", "stage_seconds_count{stage=\"wait\"} 1"] {
        worker.comes_to_say(&format!("tollgate_worker_{what}")).await;
    }
}

#[tokio::test]
async fn a_burst_is_served_in_turn() {
    let worker = Worker::start(&["--parallel", "1", "--queue", "9", "--memory", "1000"]);
    let mut done = tokio::task::JoinSet::new();
    for _ in 0..10 {
        let url = format!("http://{}{PATH}", worker.address);
        let request = client().post(url).header(CONTENT_TYPE, "image/png").body(png());
        done.spawn(async move { request.send().await.unwrap().status() });
    }
    assert!(done.join_all().await.iter().all(|status| *status == StatusCode::OK));
}

#[tokio::test]
async fn both_probes_answer() {
    let worker = Worker::start(&[]);
    assert_eq!(worker.get("/livez").await.status(), StatusCode::OK);
    assert_eq!(worker.get("/readyz").await.status(), StatusCode::OK);
}

#[tokio::test]
async fn the_end_of_its_input_ends_the_worker() {
    let mut worker = Worker::start(&[]);
    drop(worker.child.stdin.take());
    worker.ends().await;
}

#[tokio::test]
async fn a_terminated_worker_finishes_what_runs() {
    let mut worker = Worker::start(&[]);
    let file = png();
    let mut stream = worker.half_sent(file.len());
    kill(Pid::from_raw(worker.child.id().try_into().unwrap()), Signal::SIGTERM).unwrap();
    stream.write_all(&file).unwrap();
    let answer = rest(stream);
    assert!(answer.starts_with("HTTP/1.1 200"), "{answer}");
    worker.ends().await;
}
