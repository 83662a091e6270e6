//! Decisions on the background remover, and why.
//!
//! # What is built in is a small network of our own, and a cut along the photo's colours
//!
//! The first photo of a visitor is cut out with nothing downloaded. Colours alone (saliency,
//! GrabCut, a guided filter) do that where a thing lies before something of another colour, and
//! fail where it fills the photo or stands before flags. So the program carries 2.4 million weights
//! of eight bits (2.5 MB): the encoder of EfficientNet-Lite0, which knows ImageNet, without its
//! last stage, and a light way back up, learned in 40 minutes on two cores from 24,000 pictures
//! made of cut-outs and backgrounds (`tests/bench/subject/learn`; the terms of each source are in
//! `SOURCES.md` beside it, and none of them is in this repository). It runs in rten, 256 pixels a
//! side, on the photo and on its mirror image.
//!
//! It knows things and is rough about where they end, so both ways are taken: GrabCut begins once
//! with what the network finds likely and once with what stands out, and the mask is kept whose
//! outline is cheapest for what it encloses of the network's. IoU (more is better) / mean absolute
//! error of opacity on photos that nothing was learned from (`tests/bench/cutouts`; the way in
//! which the two are put together was chosen on these six):
//!
//! | photo | ellipse | colours alone | network alone | both |
//! | --- | --- | --- | --- | --- |
//! | astronaut | 0.478 / 0.368 | 0.883 / 0.063 | 0.906 / 0.053 | 0.961 / 0.021 |
//! | chelsea (a cat) | 0.565 / 0.343 | 0.659 / 0.250 | 0.962 / 0.036 | 0.982 / 0.014 |
//! | flower | 0.428 / 0.288 | 0.983 / 0.004 | 0.933 / 0.016 | 0.985 / 0.004 |
//! | hopper | 0.502 / 0.358 | 0.859 / 0.091 | 0.976 / 0.016 | 0.976 / 0.014 |
//! | raccoon | 0.508 / 0.337 | 0.956 / 0.024 | 0.932 / 0.040 | 0.956 / 0.024 |
//! | sample (a cup) | 0.782 / 0.119 | 0.970 / 0.015 | 0.291 / 0.321 | 0.970 / 0.015 |
//!
//! On twelve others that were only looked at, people, animals and fruit came out well. What it does
//! not do is leaves (it learned that they are in front and behind: of a potted plant the pot
//! stays), a face that fills all of the photo, and limbs that are thin. A model of the operator's
//! can be given the same cut, with `edges = "cut"`.
//!
//! The feature `models` is gone: the network needs rten, so whoever has the worker has it.
//!
//! # Cut-outs are sRGB
//!
//! An ICC profile is used up: colours are converted to sRGB and the profile is left away, rather
//! than carried. So `background=%23ffffff` means one colour whatever camera took the photo, a mask
//! of ours and a model see the colours that people see, and no metadata comes back. Colours
//! outside of sRGB are lost. CMYK files are decoded to RGB by formula, their profile is not used.
//!
//! # A model is a file of the operator's
//!
//! Nothing is fetched, and but for the small one above none is shipped. What a file does not say
//! of itself stands in a manifest, beside it or built in
//! (`src/worker/segment/network/known.toml`); it is the model's own, so it does not repeat in each
//! `gateway.toml`, where `model` is a path. A model is compared with its manifest and run once
//! before the worker is ready. The manifests follow rembg for the models that it carries, else the
//! authors' code; only that of u2netp was compared with rembg, on random weights
//! (`tests/e2e/cutouts.rs`).
//!
//! # Two engines for models
//!
//! ONNX Runtime is the fastest (twice rten on convolutions), but a C++ library of 20 MB that would
//! have to be downloaded to build; so it is loaded at run time where an operator has it. rten is
//! part of the binary and always there; it also runs what is built in, so that a cut-out does not
//! depend on what else is installed.
//!
//! As many images as cores with one thread each fill two cores better than one image with two
//! threads. Models of more than 150 MB take gigabytes for each image, and so work on one at a time.
//! What a run took when the model was tried, on the largest input that a photo can become, is added
//! to each image's prediction of memory. Where a model keeps the photo's ratio, it does so up to
//! 3 : 1 and squeezes what is longer: a panorama would take as much as eight photos and be paid as
//! one. Adding less for squarer photos was left: ONNX Runtime keeps what its largest run took.
//!
//! # What was asked for too late is not finished
//!
//! A photo that nobody waits for any more, because its client has gone or its deadline has passed,
//! is given up between two stages (decode, cut out, encode), never within one: a stage holds no
//! lock and takes seconds at worst.
//!
//! # The codecs are those of the crate `image`
//!
//! One photo of 12 megapixels, a JPEG of 1.5 MB, best of three on one core, ms and MB:
//!
//! | what | ms | MB |
//! | --- | --- | --- |
//! | JPEG in: zune-jpeg (`image`) | 38 | |
//! | JPEG in: libjpeg-turbo 3.2 (Pillow, its conversion included) | 86 | |
//! | PNG out: fdeflate's fast mode, best filter of each line | 63 | 9.6 |
//! | PNG out: the same, filter `Up` alone | 44 | 12.4 |
//! | PNG out: level 1, `Up` | 142 | 7.8 |
//! | PNG out: level 4, `Up` | 397 | 5.6 |
//! | PNG out: default level, best filter | 1535 | 6.0 |
//! | WebP out, lossless: image-webp (`image`) | 105 | 5.1 |
//! | WebP out, lossless: libwebp, methods 0 and 1 | 570, 1839 | 5.6, 3.3 |
//! | WebP out, quality 90: libwebp, method 1 | 1814 | 0.7 |
//!
//! So nothing in C decodes a stranger's file. Who wants a small file asks for WebP, which is half
//! as large as the PNG. Lossy WebP would be a tenth, at twenty times the time.
//!
//! # Twice rembg's speed is not reached
//!
//! The plan asked for twice the images a second of rembg's server, by measurements of an older one.
//! Both run the network in the same ONNX Runtime, and the network is most of it: of the 0.32 s of
//! a core that u2netp and a photo of 2 megapixels take here, 0.23 (0.38 in rembg). So 1.65 times
//! rembg's images is the end, and with u2netp we have 1.3, with u2net 1.7 (README). What is ours
//! is the guided filter and the clean colours of edges, which rembg does not do, and the pages
//! that its planes take and give back. What is left is less than half the memory.
//!
//! # The worker listens before its model is loaded
//!
//! A large model loads for a minute, and a probe that is not answered so long gets its pod killed.
//! So `/livez` answers at once and `/readyz` when the model has run once. A supervisor hears of the
//! address only then, because a gateway has no use for a worker that is not ready. A model that is
//! refused still ends the process.
//!
//! # A full worker is ready
//!
//! `/readyz` was 503 while the queue was full, so that others are asked. But a probe sees it
//! seconds later; with one pod, or with all of them full, the Service then has no address at all,
//! and payers get 502 `upstream_unavailable` in place of the worker's own 503 with `Retry-After`,
//! while nobody counts them: TollgateWorkerFull, and an autoscaler by images turned away, look at
//! that count. So readiness is that a photo can be cut out; who is turned away is told, and
//! counted.
//!
//! # The worker counts for itself
//!
//! `observe` counts exchanges and their money; the worker is another process that knows of neither,
//! often on another machine. It has five metrics of its own on its only port. Those of a bundled
//! worker are on its loopback port: what its images cost is in the gateway's stage `upstream`.
