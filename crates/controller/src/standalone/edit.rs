//! When a file that is being changed is read.

use notify::EventKind;
use notify::event::{AccessKind, AccessMode, ModifyKind};
use std::time::Duration;
use tokio::time::Instant;

/// What an event says of a file. Half a file may be whole YAML with fewer objects, so it is not read while it is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Edit {
    /// It is being written, or was linked here.
    Begun,
    /// It is whole, or gone.
    Done,
}

/// After so long a file that nobody said to be done is read: not every system tells, nor of every way to make a file.
const UNTOLD: Duration = Duration::from_millis(500);

impl Edit {
    /// Reading a file is an event too, which would never end.
    pub(super) fn of(kind: &EventKind) -> Option<Self> {
        match kind {
            EventKind::Access(AccessKind::Close(AccessMode::Write)) => Some(Self::Done),
            EventKind::Access(_) => None,
            EventKind::Remove(_) | EventKind::Modify(ModifyKind::Name(_)) => Some(Self::Done),
            _ => Some(Self::Begun),
        }
    }

    /// When to read, if that was planned for `due` until now.
    pub(super) fn due(self, due: Option<Instant>) -> Instant {
        match self {
            Self::Begun => due.unwrap_or_else(|| Instant::now() + UNTOLD),
            Self::Done => Instant::now(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use notify::event::{CreateKind, DataChange, RemoveKind, RenameMode};

    #[test]
    fn a_file_is_read_when_it_is_closed_moved_or_gone_and_not_before() {
        for (kind, edit) in [
            (EventKind::Create(CreateKind::File), Some(Edit::Begun)),
            (EventKind::Modify(ModifyKind::Data(DataChange::Any)), Some(Edit::Begun)),
            (EventKind::Access(AccessKind::Close(AccessMode::Write)), Some(Edit::Done)),
            (EventKind::Modify(ModifyKind::Name(RenameMode::To)), Some(Edit::Done)),
            (EventKind::Remove(RemoveKind::File), Some(Edit::Done)),
            (EventKind::Access(AccessKind::Close(AccessMode::Read)), None),
            (EventKind::Access(AccessKind::Open(AccessMode::Any)), None),
        ] {
            assert_eq!(Edit::of(&kind), edit, "{kind:?}");
        }
    }

    #[test]
    fn writing_on_does_not_put_the_reading_off() {
        let planned = Instant::now() + UNTOLD;
        assert_eq!(Edit::Begun.due(Some(planned)), planned);
        assert!(Edit::Done.due(Some(planned)) < planned);
        assert!(Edit::Begun.due(None) >= planned);
    }
}
