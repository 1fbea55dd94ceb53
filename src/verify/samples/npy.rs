//! One array in NumPy's format: a header in the words of a Python literal, and its elements.
//!
//! The header is not believed: what it asks for is bounded, and the elements are read as they come, so that a file can make us
//! hold no more than it has.

use std::io::Read;

use half::f16;
use ndarray::{ArrayD, IxDyn, ShapeBuilder};

use crate::verify::reference::Value;

const MAGIC: &[u8] = b"\x93NUMPY";

const SHORT: &str = "it ends inside of its header";

/// More bytes than any header has whose array can be held.
const MAX_HEADER: usize = 1 << 16;

/// More elements than any image or sequence has; a file that asks for more would only exhaust the memory.
pub(super) const MAX_ELEMENTS: usize = 1 << 28;

/// Dimensions: more are no tensor of a network.
const MAX_RANK: usize = 64;

/// What the header says.
struct Header {
    /// `f`, `i`, `u` or `b`.
    kind: char,
    /// Bytes of an element.
    width: usize,
    is_big_endian: bool,
    is_fortran: bool,
    shape: Vec<usize>,
}

/// Reads an array.
///
/// # Errors
/// In words.
pub(super) fn read(from: &mut dyn Read) -> Result<Value, String> {
    let header = header(from)?;
    let count = count(&header.shape).ok_or_else(|| format!("shape {:?} is too large", header.shape))?;
    let bytes = count * header.width;
    let mut content = Vec::new();
    let limit = u64::try_from(bytes).unwrap_or(u64::MAX).saturating_add(1);
    from.take(limit).read_to_end(&mut content).map_err(|e| e.to_string())?;
    if content.len() != bytes {
        let found = if content.len() > bytes { "more".to_owned() } else { content.len().to_string() };
        return Err(format!("shape {:?} asks for {bytes} bytes, and there are {found}", header.shape));
    }
    if header.is_big_endian {
        content.chunks_exact_mut(header.width).for_each(<[u8]>::reverse);
    }
    decode(&header, &content)
}

/// Number of elements of `shape`, when one tensor may have so many. Zeros hide no other size.
pub(super) fn count(shape: &[usize]) -> Option<usize> {
    let bound = shape.iter().try_fold(1_usize, |n, d| n.checked_mul((*d).max(1))).filter(|n| *n <= MAX_ELEMENTS);
    bound.map(|_| shape.iter().product())
}

fn header(from: &mut dyn Read) -> Result<Header, String> {
    let mut start = [0; 8];
    from.read_exact(&mut start).map_err(|_| "it is no .npy array: it ends before its header".to_owned())?;
    let Some([major, _]) = start.strip_prefix(MAGIC) else { return Err("it is no .npy array".to_owned()) };
    let length = match major {
        1 => {
            let mut length = [0; 2];
            from.read_exact(&mut length).map_err(|_| SHORT.to_owned())?;
            usize::from(u16::from_le_bytes(length))
        }
        2 | 3 => {
            let mut length = [0; 4];
            from.read_exact(&mut length).map_err(|_| SHORT.to_owned())?;
            usize::try_from(u32::from_le_bytes(length)).unwrap_or(usize::MAX)
        }
        other => return Err(format!("version {other} of the .npy format is not known")),
    };
    if length > MAX_HEADER {
        return Err(format!("its header of {length} bytes is too long"));
    }
    let mut text = vec![0; length];
    from.read_exact(&mut text).map_err(|_| SHORT.to_owned())?;
    let text = String::from_utf8(text).map_err(|_| "its header is no text".to_owned())?;
    parse(&text)
}

/// Reads `{'descr': '<f4', 'fortran_order': False, 'shape': (1, 3), }`.
fn parse(text: &str) -> Result<Header, String> {
    let broken = || format!("its header cannot be read: {}", text.trim());
    let after = |key: &str| {
        let quoted = [format!("'{key}'"), format!("\"{key}\"")];
        let at = quoted.iter().find_map(|q| Some(text.find(q.as_str())? + q.len()));
        let rest = at.and_then(|at| text.get(at..)).map(str::trim_start);
        rest.and_then(|r| r.strip_prefix(':')).map(str::trim_start).ok_or_else(broken)
    };
    let descr = after("descr")?;
    let quote = descr.chars().next().filter(|c| matches!(c, '\'' | '"'));
    let Some(quote) = quote else { return Err("its elements are records, not numbers".to_owned()) };
    let descr = descr[1..].split(quote).next().unwrap_or_default();
    let unknown = || format!("elements of type '{descr}' are not known");
    let (order, rest) = match descr.strip_prefix(['<', '>', '|', '=']) {
        Some(rest) => (descr.chars().next().unwrap_or('<'), rest),
        None => ('<', descr),
    };
    let kind = rest.chars().next().filter(|c| matches!(c, 'f' | 'i' | 'u' | 'b')).ok_or_else(unknown)?;
    let width: usize = rest[1..].parse().map_err(|_| unknown())?;
    let known = match kind {
        'f' => matches!(width, 2 | 4 | 8),
        'b' => width == 1,
        _ => matches!(width, 1 | 2 | 4 | 8),
    };
    if !known {
        return Err(unknown());
    }
    let is_fortran = match after("fortran_order")? {
        rest if rest.starts_with("True") => true,
        rest if rest.starts_with("False") => false,
        _ => return Err(broken()),
    };
    let shape = after("shape")?.strip_prefix('(').and_then(|r| r.split_once(')')).ok_or_else(broken)?.0;
    let sizes = shape.split(',').map(str::trim).filter(|d| !d.is_empty());
    let shape: Vec<usize> =
        sizes.map(|d| d.trim_end_matches('L').parse().map_err(|_| broken())).collect::<Result<_, _>>()?;
    if shape.len() > MAX_RANK {
        return Err(format!("it has {} dimensions", shape.len()));
    }
    let is_big_endian = order == '>' || (order == '=' && cfg!(target_endian = "big"));
    Ok(Header { kind, width, is_big_endian, is_fortran, shape })
}

fn decode(header: &Header, content: &[u8]) -> Result<Value, String> {
    macro_rules! elements {
        ($t:ty, $convert:expr) => {
            content
                .chunks_exact(size_of::<$t>())
                .map(|c| $convert(<$t>::from_le_bytes(c.try_into().unwrap_or_default())))
        };
    }
    let large = |_| "it holds an integer beyond the range of int64".to_owned();
    Ok(match (header.kind, header.width) {
        ('f', 2) => Value::F(array(header, elements!(u16, |v| f16::from_bits(v).to_f64()).collect())?),
        ('f', 4) => Value::F(array(header, elements!(f32, f64::from).collect())?),
        ('f', _) => Value::F(array(header, elements!(f64, |v| v).collect())?),
        ('i', 1) => Value::I(array(header, elements!(i8, i64::from).collect())?),
        ('i', 2) => Value::I(array(header, elements!(i16, i64::from).collect())?),
        ('i', 4) => Value::I(array(header, elements!(i32, i64::from).collect())?),
        ('i', _) => Value::I(array(header, elements!(i64, |v| v).collect())?),
        ('u', 1) => Value::I(array(header, elements!(u8, i64::from).collect())?),
        ('u', 2) => Value::I(array(header, elements!(u16, i64::from).collect())?),
        ('u', 4) => Value::I(array(header, elements!(u32, i64::from).collect())?),
        ('u', _) => {
            Value::I(array(header, elements!(u64, i64::try_from).collect::<Result<Vec<_>, _>>().map_err(large)?)?)
        }
        _ => Value::B(array(header, content.iter().map(|v| *v != 0).collect())?),
    })
}

fn array<T: Clone>(header: &Header, values: Vec<T>) -> Result<ArrayD<T>, String> {
    let shape = IxDyn(&header.shape).set_f(header.is_fortran);
    let array = ArrayD::from_shape_vec(shape, values).map_err(|e| e.to_string())?;
    Ok(if array.is_standard_layout() { array } else { array.as_standard_layout().into_owned() })
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::panic)]
    use super::*;

    fn file(header: &str, content: &[u8]) -> Vec<u8> {
        let length = u16::try_from(header.len()).unwrap().to_le_bytes();
        [MAGIC, &[1, 0], &length, header.as_bytes(), content].concat()
    }

    fn said(descr: &str, fortran: &str, shape: &str, content: &[u8]) -> Result<Value, String> {
        let header = format!("{{'descr': '{descr}', 'fortran_order': {fortran}, 'shape': {shape}, }}\n");
        read(&mut file(&header, content).as_slice())
    }

    #[test]
    fn every_type_and_order_is_read() {
        let floats = |v: Value| v.floats().unwrap().iter().copied().collect::<Vec<_>>();
        let halves: Vec<u8> = [1.5, -2.0].iter().flat_map(|v| f16::from_f32(*v).to_le_bytes()).collect();
        assert_eq!(floats(said("<f2", "False", "(2,)", &halves).unwrap()), [1.5, -2.0]);
        let big: Vec<u8> = [0.25_f32, 3.0].iter().flat_map(|v| v.to_be_bytes()).collect();
        assert_eq!(floats(said(">f4", "False", "(2, 1)", &big).unwrap()), [0.25, 3.0]);
        let six: Vec<u8> = (0..6).flat_map(|v: i16| v.to_le_bytes()).collect();
        let Value::I(rows) = said("<i2", "False", "(2, 3)", &six).unwrap() else { panic!() };
        let Value::I(columns) = said("<i2", "True", "(2, 3)", &six).unwrap() else { panic!() };
        assert_eq!(rows.iter().copied().collect::<Vec<_>>(), [0, 1, 2, 3, 4, 5]);
        assert_eq!(columns.iter().copied().collect::<Vec<_>>(), [0, 2, 4, 1, 3, 5]);
        assert_eq!(said("|b1", "False", "()", &[1]).unwrap(), Value::B(ArrayD::from_elem(IxDyn(&[]), true)));
        assert!(said("<u8", "False", "(1,)", &u64::MAX.to_le_bytes()).unwrap_err().contains("beyond the range"));
    }

    #[test]
    fn what_is_no_array_is_said() {
        let error = |found: Result<Value, String>| found.unwrap_err();
        assert!(error(read(&mut &b"PK"[..])).contains("ends before its header"));
        assert!(error(read(&mut &b"no array at all"[..])).contains("no .npy array"));
        assert!(error(said("<f4", "False", "(3,)", &[0; 8])).contains("asks for 12 bytes, and there are 8"));
        assert!(error(said("<f4", "False", "(1,)", &[0; 8])).contains("there are more"));
        assert!(error(said("<c8", "False", "(1,)", &[0; 8])).contains("type '<c8'"));
        assert!(error(said("<U4", "False", "(1,)", &[0; 16])).contains("type '<U4'"));
        assert!(error(said("<f4", "False", "(99999999999999999999,)", &[])).contains("cannot be read"));
        // Neither is a made-up shape believed, nor one that multiplies to nothing.
        for shape in ["(1000000000, 1000000000)", "(18446744073709551615, 2)", "(0, 18446744073709551615)"] {
            assert!(error(said("<f8", "False", shape, &[])).contains("too large"), "{shape}");
        }
        // 2 GiB asked for by a file of some bytes: they are never set aside.
        assert!(error(said("<f8", "False", "(268435456,)", &[0; 8])).contains("there are 8"));
        let long = [MAGIC, &[2, 0], &u32::MAX.to_le_bytes()].concat();
        assert!(error(read(&mut long.as_slice())).contains("too long"));
    }
}
