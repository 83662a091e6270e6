//! A photo in CIE L*a*b*, where distance is what the eye sees.
#![expect(
    clippy::as_conversions,
    clippy::indexing_slicing,
    clippy::float_arithmetic,
    reason = "pixel arithmetic: indices are bytes and channels, values are below a million"
)]

use super::plane::Plane;

/// One pixel: L* from 0 to 100, a* and b* about -100 to 100.
pub(super) type Lab = [f32; 3];

/// sRGB of 8 bits to L*a*b* under D65.
pub(super) fn from_rgb(photo: &Plane<[u8; 3]>) -> Plane<Lab> {
    let linear: [f32; 256] = std::array::from_fn(|byte| linear(byte as f32 / 255.0));
    photo.map(|[red, green, blue]| {
        let (red, green, blue) =
            (linear[usize::from(red)], linear[usize::from(green)], linear[usize::from(blue)]);
        let x = curve((0.412_453 * red + 0.357_58 * green + 0.180_423 * blue) / 0.950_456);
        let y = curve(0.212_671 * red + 0.715_16 * green + 0.072_169 * blue);
        let z = curve((0.019_334 * red + 0.119_193 * green + 0.950_227 * blue) / 1.088_754);
        [116.0 * y - 16.0, 500.0 * (x - y), 200.0 * (y - z)]
    })
}

fn linear(value: f32) -> f32 {
    if value <= 0.040_45 { value / 12.92 } else { ((value + 0.055) / 1.055).powf(2.4) }
}

fn curve(value: f32) -> f32 {
    if value > 0.008_856 { value.cbrt() } else { 7.787 * value + 16.0 / 116.0 }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(rgb: [u8; 3], expected: Lab) {
        let lab = from_rgb(&Plane::filled(1, 1, rgb)).values[0];
        let far = lab.iter().zip(expected).any(|(found, wanted)| (found - wanted).abs() > 0.2);
        assert!(!far, "{rgb:?}: {lab:?}, not {expected:?}");
    }

    #[test]
    fn black() {
        check([0, 0, 0], [0.0, 0.0, 0.0]);
    }

    #[test]
    fn white() {
        check([255, 255, 255], [100.0, 0.0, 0.0]);
    }

    #[test]
    fn red() {
        check([255, 0, 0], [53.2, 80.1, 67.2]);
    }

    #[test]
    fn blue() {
        check([0, 0, 255], [32.3, 79.2, -107.9]);
    }
}
