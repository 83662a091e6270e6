//! Parts: which connected pieces of a mask are the subject, and which holes are not.
#![expect(clippy::indexing_slicing, reason = "indices are of the mask's own pixels")]

use super::plane::Plane;

/// The mask without its small pieces and without its small holes.
///
/// A piece stays when it has a good part of the largest one's area; a hole is filled when it is
/// a small part of the whole subject.
pub(super) fn tidied(mask: &Plane<bool>) -> Plane<bool> {
    let pieces = pieces(mask, true);
    let largest = pieces.iter().map(Vec::len).max().unwrap_or(0);
    let mut tidy = Plane::filled(mask.width, mask.height, false);
    for piece in pieces.iter().filter(|piece| piece.len() * PIECE_PART >= largest) {
        piece.iter().for_each(|&at| tidy.values[at] = true);
    }
    let area = tidy.values.iter().filter(|subject| **subject).count();
    for hole in pieces_inside(&tidy) {
        if hole.len() * HOLE_PART <= area {
            hole.iter().for_each(|&at| tidy.values[at] = true);
        }
    }
    tidy
}

fn pieces_inside(mask: &Plane<bool>) -> Vec<Vec<usize>> {
    let (width, height) = (mask.width, mask.height);
    let at_border = move |at: usize| {
        let (x, y) = (at % width, at / width);
        x == 0 || y == 0 || x + 1 == width || y + 1 == height
    };
    let all = pieces(mask, false).into_iter();
    all.filter(|piece| !piece.iter().any(|&at| at_border(at))).collect()
}

/// The pixels with one value, by pieces whose pixels share a side.
fn pieces(mask: &Plane<bool>, value: bool) -> Vec<Vec<usize>> {
    let mut left = mask.map(|is| is == value);
    let mut pieces = Vec::new();
    for start in 0..left.values.len() {
        if left.values[start] {
            pieces.push(piece(&mut left, start));
        }
    }
    pieces
}

fn piece(left: &mut Plane<bool>, start: usize) -> Vec<usize> {
    let (width, pixels) = (left.width, left.values.len());
    let mut piece = vec![start];
    left.values[start] = false;
    let mut next = 0;
    while let Some(&at) = piece.get(next) {
        next += 1;
        let x = at % width;
        let neighbours = [
            (x > 0).then(|| at - 1),
            (x + 1 < width).then(|| at + 1),
            at.checked_sub(width),
            Some(at + width).filter(|&below| below < pixels),
        ];
        for neighbour in neighbours.into_iter().flatten() {
            if left.values[neighbour] {
                left.values[neighbour] = false;
                piece.push(neighbour);
            }
        }
    }
    piece
}

/// Pieces of at least one part in this of the largest stay.
const PIECE_PART: usize = 5;

/// Holes of at most one part in this of the subject are filled.
const HOLE_PART: usize = 100;

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(mask: &[&str], expected: &[&str]) {
        let plane = |rows: &[&str]| Plane {
            width: rows[0].len(),
            height: rows.len(),
            values: rows.concat().bytes().map(|byte| byte == b'#').collect(),
        };
        assert_eq!(tidied(&plane(mask)), plane(expected));
    }

    #[test]
    fn a_crumb_goes_and_a_second_half_stays() {
        check(&["####.##", "####...", "##....#"], &["####.##", "####...", "##....."]);
    }

    #[test]
    fn a_large_hole_stays() {
        check(&["####", "#..#", "####"], &["####", "#..#", "####"]);
    }

    #[test]
    fn a_pinhole_is_filled() {
        let full = ["###############"; 9];
        let mut holed = full;
        holed[4] = "######.########";
        check(&holed, &full);
    }

    #[test]
    fn an_empty_mask_stays_empty() {
        check(&["...", "..."], &["...", "..."]);
    }
}
