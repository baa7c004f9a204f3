//! The chunked coding, byte by byte (RFC 9112, section 7.1).
//!
//! Stricter than the RFC where other parsers differ: no blanks about sizes and extensions, and all of it bounded.

use super::Fault;
use super::bytes::{self, EXTENSION, HEX, TOKEN};
use ::bytes::{BufMut, BytesMut};

/// Hexadecimal digits of a chunk size; so many always fit 64 bits.
const SIZE_DIGITS: u8 = 16;
/// Bytes of chunk extensions in one message.
const EXTENSION_BYTES: u16 = 4096;
/// Bytes of a trailer section.
const TRAILER_BYTES: u16 = 8192;
/// Fields of a trailer section.
const TRAILER_FIELDS: u8 = 32;

/// Where a chunked body stands.
#[derive(Debug, Clone, Default)]
pub struct Chunked {
    state: State,
    /// Bytes of the chunk that are still to come; while its size is read, that size.
    left: u64,
    digits: u8,
    extension_bytes: u16,
    trailer_bytes: u16,
    trailer_fields: u8,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
enum State {
    #[default]
    Size,
    ExtensionName,
    Extension,
    SizeLf,
    Data,
    DataCr,
    DataLf,
    TrailerStart,
    TrailerName,
    TrailerValue,
    TrailerLf,
    EndLf,
    End,
}

/// What comes next in a body.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Piece {
    /// Nothing yet: all the bytes are framing.
    More,
    /// Data, behind so many bytes of framing.
    Data {
        /// Where it begins.
        skip: usize,
        /// How long it is.
        length: usize,
    },
    /// The end of the body, behind so many bytes.
    End {
        /// Where the next message begins.
        skip: usize,
    },
}

/// How far a body was read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Progress {
    /// So many of the bytes are of this body, and good.
    pub good: usize,
    /// What stands behind them: nothing yet, the end of the body, or a fault.
    pub outcome: Result<bool, Fault>,
}

impl Chunked {
    /// Reads on. After a fault the reader is of no further use; after the end it takes no more bytes.
    pub fn read(&mut self, bytes: &[u8]) -> Progress {
        let mut good = 0;
        while self.state != State::End {
            let rest = &bytes[good..];
            let Some(first) = rest.first() else { break };
            if self.state == State::Data {
                good += self.take_data(rest.len());
                continue;
            }
            match self.step(*first) {
                Ok(state) => self.state = state,
                Err(fault) => return Progress { good, outcome: Err(fault) },
            }
            good += 1;
        }
        Progress { good, outcome: Ok(self.state == State::End) }
    }

    /// What comes next in the body. The bytes of trailers go where they are collected, the empty line behind them included.
    pub(crate) fn piece(&mut self, bytes: &[u8], trailers: &mut BytesMut) -> Result<Piece, Fault> {
        for (skip, byte) in bytes.iter().enumerate() {
            if self.state == State::Data {
                return Ok(Piece::Data { skip, length: self.take_data(bytes.len() - skip) });
            }
            let of_trailers = [State::TrailerStart, State::TrailerName, State::TrailerValue, State::TrailerLf, State::EndLf];
            if of_trailers.contains(&self.state) {
                trailers.put_u8(*byte);
            }
            self.state = self.step(*byte)?;
            if self.state == State::End {
                return Ok(Piece::End { skip: skip + 1 });
            }
        }
        Ok(Piece::More)
    }

    fn take_data(&mut self, available: usize) -> usize {
        let taken = usize::try_from(self.left).map_or(available, |left| left.min(available));
        self.left = self.left.saturating_sub(taken as u64);
        if self.left == 0 {
            self.state = State::DataCr;
        }
        taken
    }

    fn step(&mut self, byte: u8) -> Result<State, Fault> {
        match (self.state, byte) {
            (State::Size, _) if bytes::is(byte, HEX) => self.size_digit(byte),
            (State::Size, b'\r') if self.digits > 0 => Ok(State::SizeLf),
            (State::Size, b';') if self.digits > 0 => self.extension(State::ExtensionName),
            (State::Size, _) => Err(Fault::ChunkSize),
            (State::ExtensionName, _) if bytes::is(byte, TOKEN) => self.extension(State::Extension),
            (State::Extension, b'\r') => Ok(State::SizeLf),
            (State::Extension, b';') => self.extension(State::ExtensionName),
            (State::Extension, _) if bytes::is(byte, EXTENSION) => self.extension(State::Extension),
            (State::ExtensionName | State::Extension, _) => Err(Fault::ChunkExtension),
            (State::SizeLf, b'\n') => Ok(self.size_is_read()),
            (State::DataCr, b'\r') => Ok(State::DataLf),
            (State::DataLf, b'\n') => Ok(State::Size),
            (State::TrailerStart, b'\r') => Ok(State::EndLf),
            (State::TrailerStart, _) if bytes::is(byte, TOKEN) => self.trailer_field(),
            (State::TrailerName, b':') => self.trailer(State::TrailerValue),
            (State::TrailerName, _) if bytes::is(byte, TOKEN) => self.trailer(State::TrailerName),
            (State::TrailerValue, b'\r') => self.trailer(State::TrailerLf),
            (State::TrailerValue, _) if bytes::is_value(byte) => self.trailer(State::TrailerValue),
            (State::TrailerStart | State::TrailerName | State::TrailerValue, _) => Err(Fault::Trailer),
            (State::TrailerLf, b'\n') => self.trailer(State::TrailerStart),
            (State::EndLf, b'\n') => Ok(State::End),
            (State::SizeLf | State::DataCr | State::DataLf | State::TrailerLf | State::EndLf, _) => Err(Fault::ChunkEnd),
            (State::Data | State::End, _) => Ok(self.state),
        }
    }

    fn size_digit(&mut self, byte: u8) -> Result<State, Fault> {
        if self.digits == SIZE_DIGITS {
            return Err(Fault::ChunkSize);
        }
        let digit = char::from(byte).to_digit(16).ok_or(Fault::ChunkSize)?;
        self.digits += 1;
        self.left = self.left << 4 | u64::from(digit);
        Ok(State::Size)
    }

    fn size_is_read(&mut self) -> State {
        self.digits = 0;
        if self.left == 0 { State::TrailerStart } else { State::Data }
    }

    fn extension(&mut self, next: State) -> Result<State, Fault> {
        self.extension_bytes += 1;
        if self.extension_bytes > EXTENSION_BYTES { Err(Fault::ChunkExtension) } else { Ok(next) }
    }

    fn trailer_field(&mut self) -> Result<State, Fault> {
        self.trailer_fields += 1;
        if self.trailer_fields > TRAILER_FIELDS { Err(Fault::TrailersTooLarge) } else { self.trailer(State::TrailerName) }
    }

    fn trailer(&mut self, next: State) -> Result<State, Fault> {
        self.trailer_bytes += 1;
        if self.trailer_bytes > TRAILER_BYTES { Err(Fault::TrailersTooLarge) } else { Ok(next) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Data and trailers of a body that comes in pieces of so many bytes.
    fn decoded(bytes: &[u8], size: usize) -> Result<(Vec<u8>, Vec<u8>), Fault> {
        let (mut chunked, mut data, mut trailers) = (Chunked::default(), Vec::new(), BytesMut::new());
        for mut rest in bytes.chunks(size) {
            while !rest.is_empty() {
                match chunked.piece(rest, &mut trailers)? {
                    Piece::More => rest = &[],
                    Piece::Data { skip, length } => {
                        data.extend_from_slice(&rest[skip..skip + length]);
                        rest = &rest[skip + length..];
                    }
                    Piece::End { skip } => {
                        assert_eq!(&rest[skip..], b"");
                        return Ok((data, trailers.to_vec()));
                    }
                }
            }
        }
        panic!("the body has no end")
    }

    #[test]
    fn data_and_trailers_come_out_however_the_bytes_are_split() {
        let body = b"3;a=b\r\nabc\r\n0A\r\n0123456789\r\n0\r\nX-Sum: 1\r\nB:\r\n\r\n";
        for size in 1..=body.len() {
            let (data, trailers) = decoded(body, size).expect("a good body");
            assert_eq!((data.as_slice(), trailers.as_slice()), (&b"abc0123456789"[..], &b"X-Sum: 1\r\nB:\r\n\r\n"[..]), "{size}");
        }
    }

    #[test]
    fn fault_is_the_one_that_the_gate_finds() {
        for body in [&b"3\r\nabcX\r\n0\r\n\r\n"[..], b"g\r\n", b"1 \r\na\r\n0\r\n\r\n", b"0\r\n: a\r\n\r\n"] {
            let outcome = Chunked::default().read(body).outcome;
            for size in 1..=body.len() {
                assert_eq!(decoded(body, size).map(|_| true), outcome, "{size}");
            }
        }
    }
}
