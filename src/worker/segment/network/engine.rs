//! Engines: what runs a model, ONNX Runtime where its library is found and rten otherwise.

use std::path::Path;
use std::sync::Arc;

use clap::ValueEnum;
use ort::environment::Environment;
use ort::session::Session;
use ort::value::{Tensor, ValueType};
use rten::{Dimension, LoadError, Model, RunOptions, ThreadPool, ValueOrView, ValueView};
use rten_tensor::{AsView, Layout as _};
use tracing::debug;

use super::manifest::{Layout, Manifest, Size};
use super::seats::Seats;
use super::tensor::{Input, Output};
use super::{NetworkError, Share, Wish};

/// An engine by name.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Runtime {
    /// Microsoft's library: about twice as fast, found at `ORT_DYLIB_PATH` or where the system
    /// keeps libraries
    #[value(name = "onnxruntime")]
    OnnxRuntime,
    /// In pure Rust: nothing to install, a third of the memory
    Rten,
}

/// A loaded model.
pub(super) enum Engine {
    OnnxRuntime {
        /// A session serves one run at a time.
        sessions: Seats<Session>,
        /// Sessions need it.
        _environment: Environment,
    },
    Rten {
        model: Box<Model>,
        pools: Seats<Arc<ThreadPool>>,
    },
}

type Fault = Box<dyn std::error::Error + Send + Sync>;

impl Engine {
    /// Loads the model with the engine wished for, or the fastest there is, and compares its input
    /// with the manifest.
    pub(super) fn load(wish: &Wish<'_>, manifest: &Manifest) -> Result<Self, NetworkError> {
        // Told apart from a file that an engine does not like.
        std::fs::File::open(wish.model)
            .map_err(|source| NetworkError::Read(wish.model.to_owned(), source))?;
        let named = std::env::var_os("ORT_DYLIB_PATH").filter(|path| !path.is_empty());
        let library = || match named.as_deref() {
            Some(path) => environment(Path::new(path)),
            None => environment(Path::new(LIBRARY)).or_else(|_| environment(Path::new(DEBIANS))),
        };
        match wish.engine {
            Some(Runtime::Rten) => rten(Model::load_file(wish.model), wish.share, manifest),
            Some(Runtime::OnnxRuntime) => {
                onnx_runtime(library().map_err(NetworkError::Library)?, wish, manifest)
            }
            // Who names a library wants it.
            None if named.is_some() => {
                onnx_runtime(library().map_err(NetworkError::Library)?, wish, manifest)
            }
            None => match library() {
                Ok(environment) => onnx_runtime(environment, wish, manifest),
                Err(fault) => {
                    debug!(fault, "no ONNX Runtime");
                    rten(Model::load_file(wish.model), wish.share, manifest)
                }
            },
        }
    }

    /// Takes a model that is part of the program.
    pub(super) fn built_in(
        model: &'static [u8],
        share: Share,
        manifest: &Manifest,
    ) -> Result<Self, NetworkError> {
        rten(Model::load_static_slice(model), share, manifest)
    }

    pub(super) fn name(&self) -> &'static str {
        match self {
            Self::OnnxRuntime { .. } => ONNX_RUNTIME,
            Self::Rten { .. } => RTEN,
        }
    }

    /// Runs the model on one image.
    pub(super) fn run(&self, input: Input, output: usize) -> Result<Output, NetworkError> {
        let engine = self.name();
        let ran = match self {
            Self::OnnxRuntime { sessions, .. } => {
                sessions.with(|session| run_session(session, input, output))
            }
            Self::Rten { model, pools } => pools.with(|pool| run_rten(model, pool, &input, output)),
        };
        ran.ok_or_else(|| NetworkError::Run { engine, source: "too many images at once".into() })?
            .map_err(|source| NetworkError::Run { engine, source })
    }
}

fn environment(library: &Path) -> Result<Environment, Fault> {
    Ok(ort::init_from(library)?.with_telemetry(false).build()?)
}

fn onnx_runtime(
    environment: Environment,
    wish: &Wish<'_>,
    manifest: &Manifest,
) -> Result<Engine, NetworkError> {
    let session = || -> ort::Result<Session> {
        Session::builder(&environment)?
            .with_intra_threads(wish.share.threads)?
            .with_inter_threads(1)?
            // Planned ahead, the memory of all layers lies side by side: twice as much, no faster.
            .with_memory_pattern(false)?
            // A thread that waits for work leaves the core to the others.
            .with_config_entry("session.intra_op.allow_spinning", "0")?
            .commit_from_file(wish.model)
    };
    let sessions =
        (0..wish.share.parallel).map(|_| session()).collect::<ort::Result<Vec<Session>>>();
    let sessions = sessions
        .map_err(|source| NetworkError::Load { engine: ONNX_RUNTIME, source: source.into() })?;
    if let Some(session) = sessions.first() {
        let shapes = session.inputs().iter().map(|input| declared(input.dtype()));
        fits(shapes.collect(), session.outputs().len(), manifest)?;
    }
    Ok(Engine::OnnxRuntime { sessions: Seats::new(sessions), _environment: environment })
}

/// What a model says of an input: its sizes, 0 where any is taken; nothing if it is no tensor of
/// 32-bit floats.
type Declared = Option<Vec<usize>>;

fn declared(kind: &ValueType) -> Declared {
    match kind {
        ValueType::Tensor { ty: ort::value::TensorElementType::Float32, shape, .. } => {
            Some(shape.iter().map(|size| usize::try_from(*size).unwrap_or(0)).collect())
        }
        _ => None,
    }
}

fn run_session(session: &mut Session, input: Input, output: usize) -> Result<Output, Fault> {
    let tensor = Tensor::from_array((input.shape.to_vec(), input.values))?;
    let outputs = session.run(ort::inputs![tensor])?;
    let value = outputs.values().nth(output).ok_or("there is no such output")?;
    let (shape, values) = value.try_extract_tensor::<f32>()?;
    let shape = shape.iter().map(|size| usize::try_from(*size).unwrap_or(0)).collect();
    Ok(Output { shape, values: values.to_vec() })
}

fn rten(
    model: Result<Model, LoadError>,
    Share { parallel, threads }: Share,
    manifest: &Manifest,
) -> Result<Engine, NetworkError> {
    let model =
        model.map_err(|source| NetworkError::Load { engine: RTEN, source: source.into() })?;
    let shape = |at: usize| -> Declared {
        let size = |dimension: Dimension| match dimension {
            Dimension::Fixed(size) => size,
            Dimension::Symbolic(_) => 0,
        };
        model.input_shape(at).map(|shape| shape.into_iter().map(size).collect())
    };
    let shapes = (0..model.input_ids().len()).map(shape).collect();
    fits(shapes, model.output_ids().len(), manifest)?;
    let pool = || Arc::new(ThreadPool::with_num_threads(threads));
    let pools = Seats::new((0..parallel).map(|_| pool()).collect());
    Ok(Engine::Rten { model: Box::new(model), pools })
}

fn run_rten(
    model: &Model,
    pool: &Arc<ThreadPool>,
    input: &Input,
    output: usize,
) -> Result<Output, Fault> {
    let view: ValueOrView<'_> = ValueView::from_shape(input.shape, &input.values)?.into();
    let entry = *model.input_ids().first().ok_or("there is no input")?;
    let exit = *model.output_ids().get(output).ok_or("there is no such output")?;
    let options = RunOptions::default().with_thread_pool(Some(Arc::clone(pool)));
    let mut values = model.run(vec![(entry, view)], &[exit], Some(options))?;
    let value = values.pop().ok_or("there is no output")?;
    let tensor: rten_tensor::Tensor<f32> = value.try_into()?;
    Ok(Output { shape: tensor.shape().to_vec(), values: tensor.to_vec() })
}

/// Whether a model's only input takes what the manifest makes, and the output is there.
fn fits(inputs: Vec<Declared>, outputs: usize, manifest: &Manifest) -> Result<(), NetworkError> {
    let wanted = wanted(manifest);
    let unlike = |part, expected, found| Err(NetworkError::Unlike { part, expected, found });
    let expected = || format!("one tensor of 32-bit floats, {}", by_times(&wanted));
    match inputs.as_slice() {
        [Some(shape)] => {
            let same = |(one, two): (&usize, &usize)| *one == *two || *one == 0 || *two == 0;
            if shape.len() != wanted.len() || !shape.iter().zip(&wanted).all(same) {
                return unlike("input", expected(), by_times(shape));
            }
        }
        [None] => return unlike("input", expected(), "something else".to_owned()),
        several => return unlike("input", expected(), format!("{} inputs", several.len())),
    }
    if manifest.output >= outputs {
        let expected = format!("a mask at number {}, counted from 0", manifest.output);
        return unlike("output", expected, format!("{outputs} outputs"));
    }
    Ok(())
}

/// The sizes that the model will be given, 0 where it depends on the photo.
fn wanted(manifest: &Manifest) -> [usize; 4] {
    let pixels = super::super::pixels_of;
    let (width, height) = match manifest.size {
        Size::Fixed([width, height]) => (pixels(width), pixels(height)),
        Size::Shorter { .. } => (0, 0),
    };
    match manifest.layout {
        Layout::Nchw => [1, 3, height, width],
        Layout::Nhwc => [1, height, width, 3],
    }
}

/// `1 × 3 × 320 × 320`, with `any` where the model takes any.
pub(super) fn by_times(shape: &[usize]) -> String {
    let name = |size: &usize| if *size == 0 { "any".to_owned() } else { size.to_string() };
    shape.iter().map(name).collect::<Vec<_>>().join(" × ")
}

const ONNX_RUNTIME: &str = "onnxruntime";
const RTEN: &str = "rten";

/// As the system's loader knows it.
const LIBRARY: &str = "libonnxruntime.so";

/// As it is called where the plain name comes with the headers only.
const DEBIANS: &str = "libonnxruntime.so.1";
