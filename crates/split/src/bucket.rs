//! The bucket of an identity, published so that others can compute it, and the threshold below which buckets are the canary's.

use crate::Kind;
use xxhash_rust::xxh3::Xxh3Default;

/// Where an identity falls.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Placement {
    /// XXH3-64 of the key, seed 0.
    pub hash: u64,
    /// The bucket, `0..buckets`.
    pub bucket: u32,
}

/// The bucket of `value`: `key = salt ++ 0x00 ++ kind ++ 0x00 ++ value`, `h = XXH3-64(key, 0)`, `bucket = (h * buckets) >> 64`.
///
/// Values longer than a request can carry never reach this point; the key is hashed in pieces and never copied.
pub fn place(salt: &str, kind: Kind, value: &[u8], buckets: u32) -> Placement {
    let mut hasher = Xxh3Default::new();
    hasher.update(salt.as_bytes());
    hasher.update(&[0]);
    hasher.update(kind.name().as_bytes());
    hasher.update(&[0]);
    hasher.update(value);
    let hash = hasher.digest();
    let bucket = (u128::from(hash) * u128::from(buckets)) >> 64;
    Placement { hash, bucket: u32::try_from(bucket).expect("a product of a u64 fraction and a u32 is below that u32") }
}

/// A share as an exact fraction, `part / whole`: a percentage in ten-thousandths has the whole 1,000,000, plain weights their sum (S15).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Share {
    part: u32,
    whole: u32,
}

impl Share {
    /// `part` of `whole`, or `None` when the whole is 0 or smaller than the part.
    pub fn new(part: u32, whole: u32) -> Option<Self> {
        (whole > 0 && part <= whole).then_some(Self { part, whole })
    }

    /// The number of buckets that are the canary's: `floor(buckets * part / whole)` (S3).
    pub fn threshold(self, buckets: u32) -> u32 {
        let k = u64::from(buckets) * u64::from(self.part) / u64::from(self.whole);
        u32::try_from(k).expect("a share is at most 1, so the threshold is at most `buckets`")
    }

    /// The fewest buckets with which a share above 0 is one bucket at least; `None` for a share of 0, which needs none.
    pub fn fewest_buckets(self) -> Option<u32> {
        (self.part > 0).then(|| self.whole.div_ceil(self.part))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn published_vectors_hold() {
        #[rustfmt::skip]
        let vectors = [
            ("", Kind::Consumer, "alice", 1000, 0xbffd_0199_e1bf_dc8f, 749),
            ("", Kind::Consumer, "alice", 100, 0xbffd_0199_e1bf_dc8f, 74),
            ("shop/checkout", Kind::Consumer, "alice", 1000, 0x64a5_7189_d05f_a12e, 393),
            ("shop/checkout", Kind::Consumer, "bob", 1000, 0xcc21_d4e3_1aca_e149, 797),
            ("shop/checkout", Kind::Ip, "192.0.2.7", 1000, 0x29a5_1e78_d8b9_4626, 162),
            ("shop/checkout", Kind::Ip, "2001:db8::1", 1000, 0xb5b9_df5d_a214_3d6e, 709),
            ("shop/checkout", Kind::Header, "tenant-42", 1000, 0xa124_32de_f6f7_7190, 629),
            ("shop/checkout", Kind::Cookie, "5f2c9e", 10000, 0x5fd2_4f98_413e_2785, 3743),
            ("shop/checkout@v2", Kind::Consumer, "alice", 1000, 0xf8da_99d1_9f41_3e02, 972),
            ("sälz", Kind::Header, "µ", 65536, 0x8c74_30ae_8e42_5a8c, 35956),
        ];
        for (salt, kind, value, buckets, hash, bucket) in vectors {
            assert_eq!(place(salt, kind, value.as_bytes(), buckets), Placement { hash, bucket }, "{salt} {value} {buckets}");
        }
    }

    #[test]
    fn s3_threshold_is_the_exact_floor() {
        let percent = |p| Share::new(p, 1_000_000).expect("a share");
        assert_eq!(percent(100_000).threshold(100), 10);
        assert_eq!(percent(125_000).threshold(1000), 125);
        assert_eq!(percent(999_999).threshold(1_000_000), 999_999);
        assert_eq!(percent(1_000_000).threshold(7), 7);
        assert_eq!(percent(500).threshold(1000), 0);
        assert_eq!(percent(500).fewest_buckets(), Some(2000));
        assert_eq!(percent(0).fewest_buckets(), None);
    }

    #[test]
    fn s15_weights_are_exact() {
        let one_of_101 = Share::new(1, 101).expect("a share");
        assert_eq!(one_of_101.threshold(101), 1);
        assert_eq!(one_of_101.threshold(1010), 10);
        assert_eq!(Share::new(0, 0), None);
        assert_eq!(Share::new(2, 1), None);
    }

    #[test]
    fn shares_of_100_000_identities_are_within_half_a_point() {
        for percent in [1, 10, 50, 99] {
            let k = Share::new(percent, 100).expect("a share").threshold(1000);
            let canary =
                (0..100_000).filter(|n| place("shop/checkout", Kind::Header, format!("tenant-{n}").as_bytes(), 1000).bucket < k).count();
            let seen = canary as f64 / 1000.0;
            assert!((seen - f64::from(percent)).abs() <= 0.5, "asked {percent} %, got {seen} %");
        }
    }

    proptest! {
        #[test]
        fn s4_raising_the_weight_moves_nobody_back(salt in ".{0,40}", value in prop::collection::vec(any::<u8>(), 1..40), buckets in 1u32..=1_000_000) {
            let bucket = place(&salt, Kind::Header, &value, buckets).bucket;
            prop_assert!(bucket < buckets);
            let sides: Vec<bool> = [1, 10, 50, 100].map(|p| bucket < Share::new(p, 100).expect("a share").threshold(buckets)).into();
            prop_assert!(sides.is_sorted(), "{sides:?}");
            prop_assert!(sides[3], "at 100 % everyone is on the canary");
        }
    }
}
