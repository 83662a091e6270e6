//! The worker as a service of its own: what it tells of itself, and how it starts.

use std::collections::BTreeSet;
use std::fs;

use tollgate::worker::METRICS;

use super::*;

/// The line of so many images that ended so.
fn ended(outcome: &str, images: u32) -> String {
    format!("tollgate_worker_images_total{{outcome=\"{outcome}\"}} {images}")
}

async fn page(worker: &Worker) -> String {
    worker.get("/metrics").await.text().await.unwrap()
}

#[tokio::test]
async fn metrics_tell_what_became_of_each_image_and_how_long_it_took() {
    let worker = Worker::start(&[]);
    is_cut_photo(&worker.cut(PATH, "image/png", png()).await);
    is_cut_photo(&worker.cut(PATH, "image/png", png()).await);
    worker.send(PATH, "image/png", jpeg()).await;
    worker.send(PATH, "image/gif", png()).await;
    drop(worker.half_sent(9));
    // A client is missed a moment after it has gone, by who reads its body or who serves it.
    let (unread, gone) = (ended("body_unread", 1), ended("gone", 1));
    let page = eventually("that the client has gone", async || {
        let page = page(&worker).await;
        let says = |line: &str| page.lines().any(|told| told == line);
        let missed = says(&unread) || says(&gone);
        // A file is in memory until its last byte has left.
        (missed && says("tollgate_worker_memory_bytes 0")).then_some(page)
    })
    .await;
    for line in [
        &ended("done", 2),
        &ended("type_disagrees", 1),
        &ended("unsupported_type", 1),
        "tollgate_worker_stage_seconds_count{stage=\"receive\"} 4",
        "tollgate_worker_stage_seconds_count{stage=\"wait\"} 3",
        "tollgate_worker_stage_seconds_count{stage=\"decode\"} 2",
        "tollgate_worker_stage_seconds_count{stage=\"segment\"} 2",
        "tollgate_worker_stage_seconds_count{stage=\"refine\"} 2",
        "tollgate_worker_stage_seconds_count{stage=\"encode\"} 2",
        "tollgate_worker_images_waiting 0",
        "tollgate_worker_images_working 0",
        "tollgate_worker_memory_bytes 0",
    ] {
        assert!(page.lines().any(|told| told == line), "{line}\n{page}");
    }
    for metric in METRICS {
        assert!(page.contains(&format!("# HELP {} {}\n", metric.name, metric.help)), "{metric:?}");
    }
}

#[tokio::test]
async fn metrics_tell_who_waits() {
    let worker = Worker::start(&["--parallel", "1", "--queue", "1"]);
    let waiting = (worker.half_sent(9), worker.half_sent(9));
    worker.send(PATH, "image/png", png()).await;
    let page = page(&worker).await;
    assert!(page.contains("tollgate_worker_images_waiting 2\n"), "{page}");
    assert!(page.contains("tollgate_worker_images_total{outcome=\"busy\"} 1\n"), "{page}");
    drop(waiting);
}

/// That its refusals are the worker's is looked at wherever one is tested.
#[tokio::test]
async fn the_document_names_what_may_be_sent() {
    let worker = Worker::start(&[]);
    let answer = worker.get("/openapi.json").await;
    assert_eq!(answer.headers()[CONTENT_TYPE], "application/json");
    let served: Value = serde_json::from_slice(&answer.bytes().await.unwrap()).unwrap();
    assert_eq!(served, document());
    let post = &served["paths"][PATH]["post"];

    let types: BTreeSet<_> = post["requestBody"]["content"].as_object().unwrap().keys().collect();
    assert_eq!(types.into_iter().collect::<Vec<_>>(), ["image/jpeg", "image/png", "image/webp"]);
    let mut names = BTreeSet::new();
    for parameter in post["parameters"].as_array().unwrap() {
        let name = parameter["name"].as_str().unwrap();
        names.insert(name);
        let values = parameter["schema"]["enum"].as_array().cloned().unwrap_or_default();
        for value in values.iter().chain(parameter.get("example")) {
            let value = value.as_str().unwrap().replace('#', "%23");
            let path = format!("{PATH}?{name}={value}");
            assert_eq!(worker.send(&path, "image/png", png()).await.status(), StatusCode::OK);
        }
    }
    // The worker names what it knows when it is asked for what it does not.
    let answer = worker.send(&format!("{PATH}?x=1"), "image/png", png()).await;
    let problem: Value = serde_json::from_slice(&answer.bytes().await.unwrap()).unwrap();
    let message = problem["message"].as_str().unwrap();
    assert!(names.len() == 4 && names.iter().all(|name| message.contains(*name)), "{message}");
}

/// A model whose manifest is a pipe that nobody has written to is being loaded.
#[tokio::test]
async fn a_worker_that_loads_its_model_is_alive_and_not_ready() {
    let folder = tempfile::tempdir().unwrap();
    let pipe = folder.path().join("slow.toml");
    assert!(Command::new("mkfifo").arg(&pipe).status().unwrap().success());
    let (model, manifest) = (models::model("any-size.onnx"), pipe.to_string_lossy());
    let worker = Worker::unannounced(&["--model", &model, "--manifest", &manifest]);

    assert_eq!(worker.get("/livez").await.status(), StatusCode::OK);
    assert_eq!(worker.get("/readyz").await.status(), StatusCode::SERVICE_UNAVAILABLE);
    let answer = worker.send(PATH, "image/png", png()).await;
    assert_eq!(answer.status(), StatusCode::SERVICE_UNAVAILABLE);
    assert!(answer.headers().contains_key(RETRY_AFTER));
    is_problem(answer, "processor_unavailable", true).await;
    let outcome = "tollgate_worker_images_total{outcome=\"starting\"} 1\n";
    assert!(page(&worker).await.contains(outcome));

    fs::write(&pipe, fs::read(models::model("any-size.toml")).unwrap()).unwrap();
    eventually("that it is ready", async || {
        (worker.get("/readyz").await.status() == StatusCode::OK).then_some(())
    })
    .await;
    is_cut_photo(&worker.cut(PATH, "image/png", png()).await);
}

#[tokio::test]
async fn a_worker_may_be_stopped_while_it_loads() {
    let folder = tempfile::tempdir().unwrap();
    let pipe = folder.path().join("slow.toml");
    assert!(Command::new("mkfifo").arg(&pipe).status().unwrap().success());
    let (model, manifest) = (models::model("any-size.onnx"), pipe.to_string_lossy());
    let mut worker = Worker::unannounced(&["--model", &model, "--manifest", &manifest]);
    kill(Pid::from_raw(worker.child.id().try_into().unwrap()), Signal::SIGTERM).unwrap();
    worker.ends().await;
}
