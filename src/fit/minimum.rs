//! Smallest values of functions without derivatives: what likelihoods need here.

/// Where `f` is least between `lo` and `hi`, by golden section; `f` should have one valley there.
pub(super) fn least(mut lo: f64, mut hi: f64, f: impl Fn(f64) -> f64) -> f64 {
    const PART: f64 = 0.618_033_988_749_894_9;
    let (mut a, mut b) = (hi - PART * (hi - lo), lo + PART * (hi - lo));
    let (mut fa, mut fb) = (f(a), f(b));
    for _ in 0..60 {
        if fa <= fb {
            (hi, b, fb) = (b, a, fa);
            a = hi - PART * (hi - lo);
            fa = f(a);
        } else {
            (lo, a, fa) = (a, b, fb);
            b = lo + PART * (hi - lo);
            fb = f(b);
        }
    }
    (lo + hi) / 2.0
}

/// Where `f` is least near `start`, by the simplex method of Nelder and Mead (The Computer Journal 7, 1965); `step` is the size of the first
/// triangle. A value that is no number counts as very large.
pub(super) fn least_of_two(start: [f64; 2], step: [f64; 2], f: impl Fn([f64; 2]) -> f64) -> [f64; 2] {
    let value = |p: [f64; 2]| {
        let v = f(p);
        (if v.is_nan() { f64::INFINITY } else { v }, p)
    };
    let mut corners = [value(start), value([start[0] + step[0], start[1]]), value([start[0], start[1] + step[1]])];
    for _ in 0..200 {
        corners.sort_by(|a, b| a.0.total_cmp(&b.0));
        let [best, second, worst] = corners;
        if (worst.0 - best.0).abs() <= 1e-9 * (1.0 + best.0.abs()) {
            break;
        }
        // the point at `t` times the way from the worst corner to the middle of the others, seen from that middle
        let along = |t: f64| {
            let at = |k: usize| {
                let middle = (best.1[k] + second.1[k]) / 2.0;
                middle + t * (middle - worst.1[k])
            };
            value([at(0), at(1)])
        };
        let mirrored = along(1.0);
        let next = if mirrored.0 < best.0 {
            let beyond = along(2.0);
            if beyond.0 < mirrored.0 { beyond } else { mirrored }
        } else if mirrored.0 < second.0 {
            mirrored
        } else {
            along(if mirrored.0 < worst.0 { 0.5 } else { -0.5 })
        };
        if next.0 < worst.0 {
            corners[2] = next;
        } else {
            for corner in &mut corners[1..] {
                *corner = value([(corner.1[0] + best.1[0]) / 2.0, (corner.1[1] + best.1[1]) / 2.0]);
            }
        }
    }
    corners.sort_by(|a, b| a.0.total_cmp(&b.0));
    corners[0].1
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn valleys_are_found() {
        assert!((least(-3.0, 9.0, |x| (x - 2.5).powi(2)) - 2.5).abs() < 1e-6);
        let banana = |[x, y]: [f64; 2]| (1.0 - x).powi(2) + 20.0 * (y - x * x).powi(2);
        let [x, y] = least_of_two([-1.0, 2.0], [0.5, 0.5], banana);
        assert!((x - 1.0).abs() < 1e-3 && (y - 1.0).abs() < 1e-3, "{x} {y}");
        // a hole in the domain is walked around
        let [x, _] = least_of_two([1.0, 0.0], [0.5, 0.5], |[x, y]| if x < 0.5 { f64::NAN } else { x * x + y * y });
        assert!((x - 0.5).abs() < 0.1, "{x}");
    }
}
