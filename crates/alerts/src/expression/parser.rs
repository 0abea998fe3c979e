//! Reads an expression: by precedence climbing, straight into postfix order, with the type of each part.

use super::{Binary, Expression, ExpressionProblem, MAX_DEPTH, MAX_LENGTH, Operation, Scope, Stat, Variable};

/// What a part of an expression is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Type {
    Number,
    /// What a comparison gives.
    Truth,
    /// `true` or `false`: a truth, and 1 or 0 beside a number.
    Literal,
}

#[derive(Debug, Clone, PartialEq)]
enum Token {
    Number(f64),
    /// In backquotes: a metric's name as it stands.
    Quoted(String),
    Name(String),
    Symbol(&'static str),
    End,
}

/// Longer ones first.
const SYMBOLS: [&str; 16] =
    ["||", "&&", "==", "!=", "<=", ">=", "<", ">", "+", "-", "*", "/", "%", "!", "(", ")"];

pub(super) fn parse(text: &str) -> Result<Expression, ExpressionProblem> {
    if text.len() > MAX_LENGTH {
        return Err(problem(MAX_LENGTH, format!("longer than {MAX_LENGTH} bytes")));
    }
    let tokens = tokens(text)?;
    let mut parser =
        Parser { tokens: &tokens, next: 0, depth: 0, operations: Vec::new(), variables: Vec::new() };
    let found = parser.expression(0)?;
    if parser.peek() != &Token::End {
        return Err(parser.unexpected("an operator such as && or the end"));
    }
    if found == Type::Number {
        return Err(problem(0, "this is a number; compare it with something, as in `co2 > 1000`".into()));
    }
    if parser.variables.is_empty() {
        return Err(problem(0, "names no metric, so it is always the same".into()));
    }
    Ok(Expression { text: text.to_owned(), variables: parser.variables, operations: parser.operations })
}

fn problem(at: usize, reason: String) -> ExpressionProblem {
    ExpressionProblem { at, reason }
}

/// Each with its place, in characters.
fn tokens(text: &str) -> Result<Vec<(usize, Token)>, ExpressionProblem> {
    let chars: Vec<char> = text.chars().collect();
    let mut tokens = Vec::new();
    let mut at = 0;
    while let Some(&first) = chars.get(at) {
        let rest = chars.get(at..).unwrap_or_default();
        let take = |test: fn(char) -> bool| rest.iter().take_while(|one| test(**one)).count();
        let (token, length) = if first.is_whitespace() {
            at += 1;
            continue;
        } else if first.is_ascii_digit() {
            let length = number_length(rest);
            let digits: String = rest.iter().take(length).collect();
            let number = digits.parse().map_err(|_| problem(at, format!("{digits} is no number")))?;
            (Token::Number(number), length)
        } else if first == '`' {
            let inside: String = rest.iter().skip(1).take_while(|one| **one != '`').collect();
            let length = inside.chars().count() + 2;
            if inside.is_empty() || rest.len() < length {
                return Err(problem(
                    at,
                    "a name in backquotes, such as `room-1 co2`, has no end or is empty".into(),
                ));
            }
            (Token::Quoted(inside), length)
        } else if is_of_name(first) {
            let length = take(is_of_name);
            (Token::Name(rest.iter().take(length).collect()), length)
        } else if first == ',' {
            (Token::Symbol(","), 1)
        } else {
            let symbol =
                SYMBOLS.into_iter().find(|symbol| symbol.chars().eq(rest.iter().take(symbol.len()).copied()));
            let symbol = symbol.ok_or_else(|| problem(at, unknown_symbol(first)))?;
            (Token::Symbol(symbol), symbol.len())
        };
        tokens.push((at, token));
        at += length;
    }
    tokens.push((at, Token::End));
    Ok(tokens)
}

fn is_of_name(one: char) -> bool {
    one.is_alphanumeric() || one == '_' || one == '.'
}

/// Digits, a fraction, an exponent.
fn number_length(rest: &[char]) -> usize {
    let mut length = 0;
    while let Some(&one) = rest.get(length) {
        let before = length.checked_sub(1).and_then(|before| rest.get(before));
        let is_sign_of_exponent = matches!(one, '+' | '-') && matches!(before, Some('e' | 'E'));
        if !(one.is_ascii_digit() || matches!(one, '.' | 'e' | 'E') || is_sign_of_exponent) {
            break;
        }
        length += 1;
    }
    length
}

fn unknown_symbol(found: char) -> String {
    match found {
        '=' => "one `=`; to compare write `==`".into(),
        '&' | '|' => format!("one `{found}`; write `{found}{found}`"),
        '"' | '\'' => {
            "text; metrics are numbers, and their names stand without quotes or in backquotes".into()
        }
        _ => format!("`{}` has no meaning here", found.escape_default()),
    }
}

struct Parser<'a> {
    tokens: &'a [(usize, Token)],
    next: usize,
    depth: usize,
    operations: Vec<Operation>,
    variables: Vec<Variable>,
}

impl Parser<'_> {
    fn peek(&self) -> &Token {
        self.tokens.get(self.next).map_or(&Token::End, |(_, token)| token)
    }

    /// Where the next token stands.
    fn at(&self) -> usize {
        self.tokens.get(self.next).or(self.tokens.last()).map_or(0, |(at, _)| *at)
    }

    fn take_symbol(&mut self, symbol: &str) -> bool {
        let is_it = matches!(self.peek(), Token::Symbol(found) if *found == symbol);
        self.next += usize::from(is_it);
        is_it
    }

    fn expect(&mut self, symbol: &str) -> Result<(), ExpressionProblem> {
        if self.take_symbol(symbol) { Ok(()) } else { Err(self.unexpected(&format!("`{symbol}`"))) }
    }

    fn unexpected(&self, expected: &str) -> ExpressionProblem {
        let found = match self.peek() {
            Token::Number(number) => number.to_string(),
            Token::Quoted(name) | Token::Name(name) => name.clone(),
            Token::Symbol(symbol) => (*symbol).to_owned(),
            Token::End => return problem(self.at(), format!("it ends here; expected {expected}")),
        };
        problem(self.at(), format!("`{found}`; expected {expected}"))
    }

    /// Operators that bind at least as strongly as `weakest`.
    fn expression(&mut self, weakest: u8) -> Result<Type, ExpressionProblem> {
        self.depth += 1;
        if self.depth > MAX_DEPTH {
            return Err(problem(self.at(), format!("nested deeper than {MAX_DEPTH}")));
        }
        let mut left = self.operand()?;
        while let Token::Symbol(symbol) = *self.peek() {
            let Some((binary, strength)) = operator(symbol).filter(|(_, strength)| *strength >= weakest)
            else {
                break;
            };
            let at = self.at();
            self.next += 1;
            let right = self.expression(strength + 1)?;
            left = result(binary, left, right).ok_or_else(|| problem(at, mismatch(binary, symbol)))?;
            if binary.is_comparison()
                && matches!(*self.peek(), Token::Symbol(next) if operator(next).is_some_and(|(next, _)| next.is_comparison()))
            {
                return Err(problem(self.at(), "two comparisons in a row; join them with &&".into()));
            }
            self.operations.push(Operation::Binary(binary));
        }
        self.depth -= 1;
        Ok(left)
    }

    fn operand(&mut self) -> Result<Type, ExpressionProblem> {
        let at = self.at();
        if self.take_symbol("(") {
            let inside = self.expression(0)?;
            self.expect(")")?;
            return Ok(inside);
        }
        for (symbol, operation) in [("!", Operation::Not), ("-", Operation::Negate)] {
            if self.take_symbol(symbol) {
                let found = self.nested(Self::operand)?;
                let fits = if symbol == "!" { found != Type::Number } else { found == Type::Number };
                let wanted = if symbol == "!" { "true or false, such as a comparison" } else { "a number" };
                if !fits {
                    return Err(problem(at, format!("`{symbol}` needs {wanted} behind it")));
                }
                self.operations.push(operation);
                return Ok(if symbol == "!" { Type::Truth } else { Type::Number });
            }
        }
        let token = self.peek().clone();
        match token {
            Token::Number(number) => {
                self.next += 1;
                self.operations.push(Operation::Number(number));
                Ok(Type::Number)
            }
            Token::Quoted(name) => {
                self.next += 1;
                self.variable(Variable { scope: Scope::Device, stat: Stat::Latest, metric: name });
                Ok(Type::Number)
            }
            Token::Name(name) => {
                self.next += 1;
                self.name(&name, at)
            }
            Token::Symbol(_) | Token::End => Err(self.unexpected("a metric, a number or `(`")),
        }
    }

    fn nested(
        &mut self,
        part: fn(&mut Self) -> Result<Type, ExpressionProblem>,
    ) -> Result<Type, ExpressionProblem> {
        self.depth += 1;
        if self.depth > MAX_DEPTH {
            return Err(problem(self.at(), format!("nested deeper than {MAX_DEPTH}")));
        }
        let found = part(self);
        self.depth -= 1;
        found
    }

    /// A constant, a function or a variable.
    fn name(&mut self, name: &str, at: usize) -> Result<Type, ExpressionProblem> {
        if let "true" | "false" = name {
            self.operations.push(Operation::Number(f64::from(u8::from(name == "true"))));
            return Ok(Type::Literal);
        }
        if self.take_symbol("(") {
            return self.call(name, at);
        }
        let (scope, rest) = match name.strip_prefix("zone.") {
            Some(rest) => (Scope::Zone, rest),
            None => (Scope::Device, name),
        };
        let of_window =
            Stat::PREFIXES.into_iter().find_map(|(prefix, stat)| Some((stat, rest.strip_prefix(prefix)?)));
        let (stat, metric) = of_window.unwrap_or((Stat::Latest, rest));
        if metric.is_empty() || metric.starts_with('.') || metric.ends_with('.') {
            return Err(problem(at, format!("`{name}` names no metric")));
        }
        self.variable(Variable { scope, stat, metric: metric.to_owned() });
        Ok(Type::Number)
    }

    fn call(&mut self, name: &str, at: usize) -> Result<Type, ExpressionProblem> {
        let then = match name {
            "abs" => Operation::Abs,
            "min" => Operation::Binary(Binary::Min),
            "max" => Operation::Binary(Binary::Max),
            _ => return Err(problem(at, format!("no function `{name}`; there are: abs, min, max"))),
        };
        self.argument()?;
        if then != Operation::Abs {
            self.expect(",")?;
            self.argument()?;
        }
        self.operations.push(then);
        self.expect(")")?;
        Ok(Type::Number)
    }

    fn argument(&mut self) -> Result<(), ExpressionProblem> {
        let at = self.at();
        match self.expression(0)? {
            Type::Number => Ok(()),
            Type::Truth | Type::Literal => Err(problem(at, "expected a number".into())),
        }
    }

    fn variable(&mut self, variable: Variable) {
        let known = self.variables.iter().position(|known| *known == variable);
        let index = known.unwrap_or_else(|| {
            self.variables.push(variable);
            self.variables.len() - 1
        });
        self.operations.push(Operation::Variable(index));
    }
}

/// What it does, and how strongly it binds.
fn operator(symbol: &str) -> Option<(Binary, u8)> {
    Some(match symbol {
        "||" => (Binary::Or, 1),
        "&&" => (Binary::And, 2),
        "==" => (Binary::Equal, 3),
        "!=" => (Binary::NotEqual, 3),
        "<" => (Binary::Less, 3),
        "<=" => (Binary::LessOrEqual, 3),
        ">" => (Binary::Greater, 3),
        ">=" => (Binary::GreaterOrEqual, 3),
        "+" => (Binary::Add, 4),
        "-" => (Binary::Subtract, 4),
        "*" => (Binary::Multiply, 5),
        "/" => (Binary::Divide, 5),
        "%" => (Binary::Remainder, 5),
        _ => return None,
    })
}

impl Binary {
    fn is_comparison(self) -> bool {
        operator_strength(self) == 3
    }
}

fn operator_strength(binary: Binary) -> u8 {
    match binary {
        Binary::Or => 1,
        Binary::And => 2,
        Binary::Equal
        | Binary::NotEqual
        | Binary::Less
        | Binary::LessOrEqual
        | Binary::Greater
        | Binary::GreaterOrEqual => 3,
        Binary::Add | Binary::Subtract => 4,
        Binary::Multiply | Binary::Divide | Binary::Remainder | Binary::Min | Binary::Max => 5,
    }
}

/// What comes of it; none where the parts do not fit.
fn result(binary: Binary, left: Type, right: Type) -> Option<Type> {
    let numbers = left == Type::Number && right == Type::Number;
    match binary {
        Binary::Or | Binary::And => (left != Type::Number && right != Type::Number).then_some(Type::Truth),
        Binary::Equal | Binary::NotEqual => {
            let fits = left == right || left == Type::Literal || right == Type::Literal;
            fits.then_some(Type::Truth)
        }
        _ if binary.is_comparison() => numbers.then_some(Type::Truth),
        _ => numbers.then_some(Type::Number),
    }
}

fn mismatch(binary: Binary, symbol: &str) -> String {
    match binary {
        Binary::Or | Binary::And => {
            format!("`{symbol}` joins comparisons, as in `co2 > 1000 {symbol} occupancy == 1`")
        }
        Binary::Equal | Binary::NotEqual => {
            format!("`{symbol}` compares a number with the result of a comparison")
        }
        _ => format!("`{symbol}` needs numbers on both sides"),
    }
}
