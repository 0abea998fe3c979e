//! How a number is written in bytes.

use super::Bits;

/// A number's type, as `u8`, `i16be`, `f32le` or `bool`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Number {
    name: &'static str,
    form: Form,
    bytes: usize,
    order: Order,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Form {
    Bool,
    Unsigned,
    Signed,
    Float,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Order {
    Big,
    Little,
}

const fn number(name: &'static str, form: Form, bytes: usize, order: Order) -> Number {
    Number { name, form, bytes, order }
}

impl Number {
    pub(super) const BOOL: Self = number("bool", Form::Bool, 1, Order::Big);

    /// Every type there is.
    pub(super) const ALL: [Self; 23] = [
        Self::BOOL,
        number("u8", Form::Unsigned, 1, Order::Big),
        number("i8", Form::Signed, 1, Order::Big),
        number("u16be", Form::Unsigned, 2, Order::Big),
        number("u16le", Form::Unsigned, 2, Order::Little),
        number("i16be", Form::Signed, 2, Order::Big),
        number("i16le", Form::Signed, 2, Order::Little),
        number("u24be", Form::Unsigned, 3, Order::Big),
        number("u24le", Form::Unsigned, 3, Order::Little),
        number("i24be", Form::Signed, 3, Order::Big),
        number("i24le", Form::Signed, 3, Order::Little),
        number("u32be", Form::Unsigned, 4, Order::Big),
        number("u32le", Form::Unsigned, 4, Order::Little),
        number("i32be", Form::Signed, 4, Order::Big),
        number("i32le", Form::Signed, 4, Order::Little),
        number("u64be", Form::Unsigned, 8, Order::Big),
        number("u64le", Form::Unsigned, 8, Order::Little),
        number("i64be", Form::Signed, 8, Order::Big),
        number("i64le", Form::Signed, 8, Order::Little),
        number("f32be", Form::Float, 4, Order::Big),
        number("f32le", Form::Float, 4, Order::Little),
        number("f64be", Form::Float, 8, Order::Big),
        number("f64le", Form::Float, 8, Order::Little),
    ];

    pub(super) fn by_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|number| number.name == name)
    }

    pub(super) fn names() -> impl Iterator<Item = &'static str> {
        Self::ALL.into_iter().map(|number| number.name)
    }

    pub(super) const fn bytes(self) -> usize {
        self.bytes
    }

    /// How many bits of it can be picked; none of a fraction's.
    pub(super) fn whole_bits(self) -> usize {
        if matches!(self.form, Form::Unsigned | Form::Signed) { 8 * self.bytes } else { 0 }
    }

    /// The number in `bytes`, which are as many as it has.
    pub(super) fn read(self, bytes: &[u8]) -> f64 {
        let word = self.word(bytes);
        match self.form {
            Form::Bool => f64::from(u8::from(word != 0)),
            Form::Unsigned => word as f64,
            Form::Signed => signed(word, 8 * self.bytes) as f64,
            // The low half of the word is all there is of it.
            Form::Float if self.bytes == 4 => {
                f64::from(f32::from_bits(u32::try_from(word).unwrap_or(u32::MAX)))
            }
            Form::Float => f64::from_bits(word),
        }
    }

    /// Some bits of it, with a sign of their own where the type has one and there are several.
    pub(super) fn bits(self, bytes: &[u8], Bits { first, count }: Bits) -> f64 {
        let mask = u64::MAX.checked_shr(64 - u32::from(count)).unwrap_or(0);
        let picked = self.word(bytes).checked_shr(first.into()).unwrap_or(0) & mask;
        if self.form == Form::Signed && count > 1 {
            return signed(picked, count.into()) as f64;
        }
        picked as f64
    }

    fn word(self, bytes: &[u8]) -> u64 {
        let shift_in = |word: u64, byte: &u8| word << 8 | u64::from(*byte);
        match self.order {
            Order::Big => bytes.iter().fold(0, shift_in),
            Order::Little => bytes.iter().rev().fold(0, shift_in),
        }
    }
}

/// The lowest `width` bits of `word` in two's complement.
fn signed(word: u64, width: usize) -> i64 {
    let unused = 64_u32.saturating_sub(u32::try_from(width).unwrap_or(64));
    word.wrapping_shl(unused).cast_signed().wrapping_shr(unused)
}
