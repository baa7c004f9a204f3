//! The lines of a head while it arrives.

use super::Fault;
use memchr::memchr;
use std::ops::Range;

/// How far the lines of a head were read. The same bytes, and more, are given each time; none is looked at twice for its line end.
#[derive(Debug, Clone, Default)]
pub(super) struct Lines {
    start: usize,
    scanned: usize,
}

impl Lines {
    /// The next line without its CRLF; `None` while it is not complete. That no CR stands within is left to whoever reads it: no part of
    /// a head may have one, so that is looked for only where a line is bad, by [`fault_of`].
    pub(super) fn next(&mut self, head: &[u8], limit: usize) -> Result<Option<Range<usize>>, Fault> {
        let end = head.len().min(limit);
        let fresh = head.get(self.scanned..end).unwrap_or_default();
        let Some(at) = memchr(b'\n', fresh) else {
            self.scanned = self.scanned.max(end);
            return if head.len() >= limit { Err(Fault::HeadTooLarge) } else { Ok(None) };
        };
        let (start, lf) = (self.start, self.scanned + at);
        self.start = lf + 1;
        self.scanned = lf + 1;
        match head[start..lf].split_last() {
            Some((b'\r', line)) => Ok(Some(start..start + line.len())),
            _ => Err(Fault::BareLf),
        }
    }

    /// Where the next line begins: after the empty one, the length of the head.
    pub(super) fn position(&self) -> usize {
        self.start
    }
}

/// The fault of a line that was found bad.
pub(super) fn fault_of(line: &[u8], fault: Fault) -> Fault {
    if memchr(b'\r', line).is_some() { Fault::BareCr } else { fault }
}
