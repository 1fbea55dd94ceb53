//! Encoding a model without copying its weights: the pieces between them are encoded, they are shared.
//!
//! `BufMut` is an unsafe trait, so this file has an `unsafe impl`; every method of it is `BytesMut`'s own.
#![allow(unsafe_code)]

use bytes::{Buf, BufMut, Bytes, BytesMut};
use prost::Message;

use crate::onnx::ModelProto;

/// `proto` as the pieces of its encoding; weights are not copied.
pub(super) fn rope(proto: &ModelProto) -> Vec<Bytes> {
    let mut rope = Rope::default();
    // A rope never runs out of space, the only reason to fail.
    let _ = proto.encode(&mut rope);
    rope.finish()
}

/// Content above this size is shared, not copied.
const SHARED: usize = 512;

/// A buffer that shares large pieces instead of copying them.
#[derive(Default)]
struct Rope {
    done: Vec<Bytes>,
    open: BytesMut,
}

impl Rope {
    fn finish(mut self) -> Vec<Bytes> {
        self.close();
        self.done
    }

    fn close(&mut self) {
        if !self.open.is_empty() {
            self.done.push(self.open.split().freeze());
        }
    }
}

// SAFETY: every method that hands out or advances over memory is `BytesMut`'s own.
unsafe impl BufMut for Rope {
    fn remaining_mut(&self) -> usize {
        usize::MAX - self.open.len()
    }

    unsafe fn advance_mut(&mut self, count: usize) {
        // SAFETY: the caller wrote `count` bytes into what `chunk_mut` gave.
        unsafe { self.open.advance_mut(count) }
    }

    fn chunk_mut(&mut self) -> &mut bytes::buf::UninitSlice {
        self.open.chunk_mut()
    }

    fn put<T: Buf>(&mut self, mut source: T)
    where
        Self: Sized,
    {
        let length = source.remaining();
        if length >= SHARED {
            self.close();
            self.done.push(source.copy_to_bytes(length));
        } else {
            self.open.put(source);
        }
    }

    fn put_slice(&mut self, source: &[u8]) {
        self.open.extend_from_slice(source);
    }
}
