//! Keyed random draws: a pure function of (seed, purpose, entity, step).
/// stub
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Seed(pub u64);
impl Seed {
    /// A seed of its own for something named, such as a case.
    pub fn derive(self, name: &str) -> Seed {
        let mut h = self.0 ^ 0xcbf29ce484222325;
        for b in name.bytes() {
            h = (h ^ u64::from(b)).wrapping_mul(0x100000001b3);
        }
        Seed(h)
    }
    /// The stream of draws for one purpose, entity and step.
    pub fn draw(self, purpose: Purpose, entity: u64, step: u32) -> Draw {
        let _ = (purpose, entity, step);
        Draw {}
    }
}
/// What a draw is for: one number per call site, so that one more draw in one place moves nothing in another.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Purpose(pub u16);
/// A short stream of random bits; implements rand's generator traits (`rand::TryRng<Error = Infallible>`).
#[derive(Clone, Debug)]
pub struct Draw {}
impl Draw {
    pub fn span(&mut self, lo: super::Span, _hi: super::Span) -> super::Span {
        lo
    }
    pub fn chance(&mut self, _p: f64) -> bool {
        false
    }
    pub fn below(&mut self, _n: u64) -> u64 {
        0
    }
    pub fn unit(&mut self) -> f64 {
        0.5
    }
}
