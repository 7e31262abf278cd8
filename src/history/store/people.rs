//! Shoppers' names and addresses. They are made only where bytes leave the process; inside it a shopper is a number.

use fake::Fake;
use fake::faker::address::raw::{BuildingNumber, CityName, StreetName, ZipCode};
use fake::faker::name::raw::Name;
use fake::locales::EN;
use std::convert::Infallible;
use std::sync::LazyLock;

/// SplitMix64: a generator whose output is fixed for good, which the standard ones do not promise.
struct SplitMix64(u64);

fn mix(mut z: u64) -> u64 {
    z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    z ^ (z >> 31)
}

impl rand::TryRng for SplitMix64 {
    type Error = Infallible;
    fn try_next_u32(&mut self) -> Result<u32, Infallible> {
        self.try_next_u64().map(|bits| (bits >> 32) as u32)
    }
    fn try_next_u64(&mut self) -> Result<u64, Infallible> {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        Ok(mix(self.0))
    }
    fn try_fill_bytes(&mut self, dst: &mut [u8]) -> Result<(), Infallible> {
        for chunk in dst.chunks_mut(8) {
            let bytes = self.try_next_u64()?.to_le_bytes();
            chunk.copy_from_slice(&bytes[..chunk.len()]);
        }
        Ok(())
    }
}

/// Ready-made JSON strings, quotes included.
struct Pools {
    names: Vec<String>,
    streets: Vec<String>,
    cities: Vec<String>,
    postcodes: Vec<String>,
}

/// One set of pools serves every writer: they depend on nothing but this constant, and drawing a name anew for each
/// order would cost more than writing the order.
static POOLS: LazyLock<Pools> = LazyLock::new(|| {
    let mut rng = SplitMix64(0x6f72_6465_7273_746f);
    let mut pool = |size: usize, make: &mut dyn FnMut(&mut SplitMix64) -> String| -> Vec<String> {
        (0..size).map(|_| serde_json::to_string(&make(&mut rng)).unwrap_or_else(|_| "\"\"".into())).collect()
    };
    Pools {
        names: pool(4096, &mut |rng| Name(EN).fake_with_rng(rng)),
        streets: pool(2048, &mut |rng| {
            let number: String = BuildingNumber(EN).fake_with_rng(rng);
            let street: String = StreetName(EN).fake_with_rng(rng);
            format!("{number} {street}")
        }),
        cities: pool(1024, &mut |rng| CityName(EN).fake_with_rng(rng)),
        postcodes: pool(2048, &mut |rng| ZipCode(EN).fake_with_rng(rng)),
    }
});

/// Appends `,"name":..,"street":..,"city":..,"postcode":..` of one shopper.
pub(super) fn push_person(out: &mut Vec<u8>, customer: u32) {
    let pools = &*POOLS;
    let parts = [("name", &pools.names), ("street", &pools.streets), ("city", &pools.cities), ("postcode", &pools.postcodes)];
    for (salt, (key, pool)) in parts.into_iter().enumerate() {
        let pick = mix((u64::from(customer) << 3 | salt as u64).wrapping_add(0x9e37_79b9_7f4a_7c15)) % pool.len() as u64;
        out.extend_from_slice(b",\"");
        out.extend_from_slice(key.as_bytes());
        out.extend_from_slice(b"\":");
        out.extend_from_slice(pool[pick as usize].as_bytes());
    }
}
