//! What parent, zygote and worker say to each other: short texts, and one descriptor.

use std::io;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, FromRawFd, OwnedFd, RawFd};

use super::sys;

/// The longest message.
const LONGEST: usize = 2048;

/// One end of a connection.
pub struct Channel(OwnedFd);

/// A message.
pub struct Message {
    /// What it says.
    pub text: String,
    /// A descriptor that came with it.
    pub descriptor: Option<OwnedFd>,
}

/// Room for one descriptor beside a message, aligned as its header wants it.
#[repr(align(8))]
struct Beside([u8; 64]);

impl Channel {
    /// Both ends of a new one.
    ///
    /// # Errors
    /// There are too many descriptors.
    pub fn pair() -> io::Result<(Channel, Channel)> {
        let (one, other) = sys::pair()?;
        Ok((Channel(one), Channel(other)))
    }

    /// The end that this descriptor is.
    pub fn of(descriptor: OwnedFd) -> Channel {
        Channel(descriptor)
    }

    /// Sends a text of at most 2 KiB. The other one may have ended, which is seen elsewhere.
    pub fn send(&self, text: &str) {
        self.send_with(text, None);
    }

    /// Sends a text, and a copy of this descriptor.
    pub fn send_with(&self, text: &str, descriptor: Option<BorrowedFd<'_>>) {
        let mut end = text.len().min(LONGEST);
        while !text.is_char_boundary(end) {
            end -= 1;
        }
        let mut beside = Beside([0; 64]);
        let mut part = libc::iovec { iov_base: text.as_ptr().cast_mut().cast(), iov_len: end };
        // SAFETY: the header describes the text and the room beside it; only what fits there is written.
        unsafe {
            let mut header: libc::msghdr = std::mem::zeroed();
            header.msg_iov = &mut part;
            header.msg_iovlen = 1;
            if let Some(descriptor) = descriptor {
                header.msg_control = beside.0.as_mut_ptr().cast();
                header.msg_controllen = libc::CMSG_SPACE(size_of::<RawFd>() as u32) as _;
                let first = libc::CMSG_FIRSTHDR(&header);
                (*first).cmsg_level = libc::SOL_SOCKET;
                (*first).cmsg_type = libc::SCM_RIGHTS;
                (*first).cmsg_len = libc::CMSG_LEN(size_of::<RawFd>() as u32) as _;
                libc::CMSG_DATA(first).cast::<RawFd>().write_unaligned(descriptor.as_raw_fd());
            }
            libc::sendmsg(self.0.as_raw_fd(), &header, libc::MSG_NOSIGNAL);
        }
    }

    /// The next message; none: the other end is closed.
    pub fn receive(&self) -> Option<Message> {
        let mut bytes = [0_u8; LONGEST];
        let mut beside = Beside([0; 64]);
        let mut part = libc::iovec { iov_base: bytes.as_mut_ptr().cast(), iov_len: bytes.len() };
        // SAFETY: as above. A descriptor that comes is nobody else's.
        let (length, descriptor) = unsafe {
            let mut header: libc::msghdr = std::mem::zeroed();
            header.msg_iov = &mut part;
            header.msg_iovlen = 1;
            header.msg_control = beside.0.as_mut_ptr().cast();
            header.msg_controllen = beside.0.len() as _;
            let length = loop {
                let length = libc::recvmsg(self.0.as_raw_fd(), &mut header, libc::MSG_CMSG_CLOEXEC);
                let again = io::Error::last_os_error().kind() == io::ErrorKind::Interrupted;
                if length >= 0 || !again {
                    break length;
                }
            };
            let first =
                if length > 0 { libc::CMSG_FIRSTHDR(&header) } else { std::ptr::null_mut() };
            let came = !first.is_null() && (*first).cmsg_type == libc::SCM_RIGHTS;
            let descriptor = came.then(|| {
                OwnedFd::from_raw_fd(libc::CMSG_DATA(first).cast::<RawFd>().read_unaligned())
            });
            (length, descriptor)
        };
        let text = bytes.get(..usize::try_from(length).ok()?).filter(|text| !text.is_empty())?;
        Some(Message { text: String::from_utf8_lossy(text).into_owned(), descriptor })
    }
}

impl AsFd for Channel {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.0.as_fd()
    }
}

impl From<Channel> for OwnedFd {
    fn from(channel: Channel) -> OwnedFd {
        channel.0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn messages_stay_apart_and_carry_a_descriptor() {
        let (one, other) = Channel::pair().unwrap();
        let (third, fourth) = Channel::pair().unwrap();
        one.send("first");
        one.send_with("second", Some(third.as_fd()));
        assert_eq!(other.receive().unwrap().text, "first");
        let second = other.receive().unwrap();
        assert_eq!(second.text, "second");
        drop(third);
        Channel::of(second.descriptor.unwrap()).send("through it");
        assert_eq!(fourth.receive().unwrap().text, "through it");
        one.send(&"ä".repeat(LONGEST));
        assert_eq!(other.receive().unwrap().text.len(), LONGEST);
        drop(one);
        assert!(other.receive().is_none());
        other.send("nobody is there");
    }
}
