//! The frames that a client sends, as far as their heads tell (RFC 9113, section 4.1): whether a head of a request is under way, and
//! how many of them ask for nothing.

use super::PREFACE;

const HEAD: usize = 9;
const END_STREAM: u8 = 0x1;
const END_HEADERS: u8 = 0x4;
/// What one request may have beside it: cancelled, given a priority, and some windows.
const BESIDE_A_REQUEST: u64 = 16;
/// So many bytes of an answer may be followed by a frame without a use: its ping, or its window.
const BESIDE_AN_ANSWER: u64 = 512;

const DATA: u8 = 0;
const HEADERS: u8 = 1;
const CONTINUATION: u8 = 9;

/// Where a connection is.
#[derive(Debug)]
pub(super) struct Frames {
    /// How much of the preface came.
    preface: usize,
    head: [u8; HEAD],
    /// How much of that.
    of_head: usize,
    /// How much of a frame is still to come.
    rest: usize,
    /// The frame under way ends a head.
    ends_head: bool,
    in_head: bool,
    idle: u64,
    requests: u64,
}

impl Frames {
    pub(super) fn new() -> Self {
        Self { preface: 0, head: [0; HEAD], of_head: 0, rest: 0, ends_head: false, in_head: false, idle: 0, requests: 0 }
    }

    /// Takes what came.
    pub(super) fn take(&mut self, mut bytes: &[u8]) {
        let preface = (PREFACE.len() - self.preface).min(bytes.len());
        self.preface += preface;
        bytes = &bytes[preface..];
        while !bytes.is_empty() {
            if self.rest > 0 {
                let piece = self.rest.min(bytes.len());
                self.rest -= piece;
                bytes = &bytes[piece..];
                self.end_of_frame();
                continue;
            }
            let piece = (HEAD - self.of_head).min(bytes.len());
            self.head[self.of_head..self.of_head + piece].copy_from_slice(&bytes[..piece]);
            self.of_head += piece;
            bytes = &bytes[piece..];
            if self.of_head == HEAD {
                self.of_head = 0;
                self.frame();
                self.end_of_frame();
            }
        }
    }

    fn frame(&mut self) {
        let [a, b, c, kind, flags, ..] = self.head;
        self.rest = usize::from(a) << 16 | usize::from(b) << 8 | usize::from(c);
        self.ends_head = false;
        match kind {
            HEADERS | CONTINUATION => {
                self.requests += u64::from(kind == HEADERS);
                self.idle += u64::from(self.rest == 0);
                self.in_head = true;
                self.ends_head = flags & END_HEADERS != 0;
            }
            DATA if self.rest > 0 || flags & END_STREAM != 0 => {}
            _ => self.idle += 1,
        }
    }

    fn end_of_frame(&mut self) {
        if self.rest == 0 && self.ends_head {
            self.in_head = false;
        }
    }

    /// Whether the connection's beginning, or the head of a request, has begun and is not whole.
    pub(super) fn is_in_head(&self) -> bool {
        self.preface < PREFACE.len() || self.in_head || self.of_head > 0
    }

    /// Whether more frames came that ask for nothing than go with what was asked for, with so many bytes of answers.
    pub(super) fn is_flood(&self, written: u64, limit: u64) -> bool {
        self.idle > limit.saturating_add(self.requests * BESIDE_A_REQUEST).saturating_add(written / BESIDE_AN_ANSWER)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn frame(kind: u8, flags: u8, length: usize) -> Vec<u8> {
        let mut frame = vec![0, (length >> 8) as u8, length as u8, kind, flags, 0, 0, 0, 1];
        frame.resize(HEAD + length, b'x');
        frame
    }

    fn after(frames: &[Vec<u8>], piece: usize) -> Frames {
        let mut read = Frames::new();
        [PREFACE, &frames.concat()].concat().chunks(piece).for_each(|piece| read.take(piece));
        read
    }

    #[test]
    fn head_is_under_way_until_its_last_byte_however_it_is_cut() {
        let whole = [frame(HEADERS, 0, 20), frame(CONTINUATION, 0, 300), frame(CONTINUATION, END_HEADERS, 7), frame(DATA, END_STREAM, 40)];
        for piece in [1, 2, 9, 10, 1000] {
            assert!(!after(&[], piece).is_in_head());
            assert!(after(&whole[..1], piece).is_in_head());
            assert!(after(&whole[..2], piece).is_in_head());
            let cut = [whole[0].clone(), whole[1].clone(), whole[2][..15].to_vec()];
            assert!(after(&cut, piece).is_in_head());
            assert!(!after(&whole[..3], piece).is_in_head());
            assert!(!after(&whole, piece).is_in_head());
        }
        let mut preface = Frames::new();
        preface.take(&PREFACE[..10]);
        assert!(preface.is_in_head());
    }

    #[test]
    fn frames_that_ask_for_nothing_count_beyond_what_goes_with_requests_and_answers() {
        let pings = |count| (0..count).map(|_| frame(6, 0, 8)).collect::<Vec<_>>();
        assert!(!after(&pings(10), 7).is_flood(0, 10));
        assert!(after(&pings(11), 7).is_flood(0, 10));
        assert!(!after(&pings(11), 7).is_flood(BESIDE_AN_ANSWER, 10));
        let with_request = [vec![frame(HEADERS, END_HEADERS | END_STREAM, 3)], pings(20)].concat();
        assert!(!after(&with_request, 7).is_flood(0, 10));
        for useless in [
            frame(DATA, 0, 0),
            frame(4, 0, 0),
            frame(2, 0, 5),
            frame(3, 0, 4),
            frame(8, 0, 4),
            frame(0xee, 0, 9),
            frame(CONTINUATION, 0, 0),
        ] {
            assert!(after(&[useless], 7).is_flood(0, 0));
        }
        assert!(!after(&[frame(DATA, 0, 1), frame(DATA, END_STREAM, 0), frame(HEADERS, 0, 1)], 7).is_flood(0, 0));
    }
}
