//! Who may do what: passwords give sessions, tokens are for programs, on loopback without either everybody may.

use std::net::IpAddr;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Instant;

use axum::http::{HeaderMap, StatusCode, header};
use credentials::{Busy, InvalidPassword, PasswordSource, Verifier, find, same};
use gateway_core::settings::Secret;
use pipeline::clock::monotonic;

use crate::attempts::Attempts;
use crate::config::{Config, Role};
use crate::problem::Problem;
use crate::sessions::{COOKIE, Sessions};

/// Passwords, tokens, sessions.
#[derive(Debug)]
pub(crate) struct Access {
    /// Everybody may do everything: loopback without a password.
    open: bool,
    /// With a certificate, cookies are for TLS only.
    secure: bool,
    passwords: Vec<(Role, Verifier)>,
    tokens: Vec<(Role, Secret)>,
    sessions: Mutex<Sessions>,
    attempts: Mutex<Attempts>,
}

impl Access {
    pub(crate) fn new(config: &Config) -> Result<Self, InvalidPassword> {
        let of = |role, password: &Option<Secret>| {
            let source = password.as_ref().map(|password| PasswordSource::from_text(password.expose()));
            source.map(|source| source.map(|source| (role, Verifier::new(source)))).transpose()
        };
        let operate = of(Role::Operate, &config.password)?;
        let view = of(Role::View, &config.view_password)?;
        let tokens = config.tokens.values().filter_map(|token| Some((token.role, token.token.clone()?)));
        Ok(Self {
            open: config.is_open(),
            secure: config.cert_file.is_some(),
            passwords: operate.into_iter().chain(view).collect(),
            tokens: tokens.collect(),
            sessions: Mutex::new(Sessions::new(config.session.0)),
            attempts: Mutex::new(Attempts::new()),
        })
    }

    pub(crate) const fn is_open(&self) -> bool {
        self.open
    }

    /// The role of who sent these headers; an error where a token is wrong.
    pub(crate) fn role(&self, headers: &HeaderMap, peer: IpAddr) -> Result<Option<Role>, Problem> {
        if self.open {
            return Ok(Some(Role::Operate));
        }
        if let Some(token) = bearer(headers) {
            return self.role_of_token(token, peer).map(Some);
        }
        // A browser may hold several of this name, of other programs on this machine too.
        Ok(cookies(headers).find_map(|token| lock(&self.sessions).role(token, monotonic())))
    }

    fn role_of_token(&self, given: &str, peer: IpAddr) -> Result<Role, Problem> {
        // A right one is taken whatever others of this address have tried: it is too long to be guessed.
        let found = self.tokens.iter().filter(|(_, token)| same(token.expose().as_bytes(), given.as_bytes()));
        if let Some(role) = found.map(|(role, _)| *role).max() {
            return Ok(role);
        }
        self.may_try(peer)?;
        lock(&self.attempts).wrong(peer, monotonic());
        Err(Problem::new(StatusCode::UNAUTHORIZED, "this token is not one of [http.tokens.*]"))
    }

    /// Checks a password; right, it begins a session and returns its cookie.
    pub(crate) async fn login(&self, password: &str, peer: IpAddr) -> Result<(Role, String), Problem> {
        self.may_try(peer)?;
        let verifiers: Vec<&Verifier> = self.passwords.iter().map(|(_, verifier)| verifier).collect();
        let found = find(&verifiers, password.as_bytes(), peer).await.map_err(|Busy| {
            Problem::new(StatusCode::TOO_MANY_REQUESTS, "too many logins at once; try again").retry_after(2)
        })?;
        if let Some((role, _)) = found.and_then(|index| self.passwords.get(index)) {
            return Ok((*role, self.begin(*role, peer, monotonic())));
        }
        lock(&self.attempts).wrong(peer, monotonic());
        Err(Problem::new(StatusCode::UNAUTHORIZED, "the password is wrong"))
    }

    fn may_try(&self, peer: IpAddr) -> Result<(), Problem> {
        lock(&self.attempts).may_try(peer, monotonic()).map_err(|wait| {
            let seconds = wait.as_secs().max(1);
            let why = format!("too many wrong passwords from {peer}; try again in {seconds} s");
            Problem::new(StatusCode::TOO_MANY_REQUESTS, why).retry_after(seconds)
        })
    }

    fn begin(&self, role: Role, peer: IpAddr, now: Instant) -> String {
        let token = lock(&self.sessions).begin(role, peer, now);
        self.cookie(&token, "")
    }

    /// Ends the session, and returns a cookie that takes its cookie's place.
    pub(crate) fn logout(&self, headers: &HeaderMap) -> String {
        cookies(headers).for_each(|token| lock(&self.sessions).end(token));
        self.cookie("", "; Max-Age=0")
    }

    fn cookie(&self, token: &str, more: &str) -> String {
        let secure = if self.secure { "; Secure" } else { "" };
        format!("{COOKIE}={token}; Path=/; HttpOnly; SameSite=Strict{secure}{more}")
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

fn bearer(headers: &HeaderMap) -> Option<&str> {
    headers.get(header::AUTHORIZATION)?.to_str().ok()?.strip_prefix("Bearer ")
}

fn cookies(headers: &HeaderMap) -> impl Iterator<Item = &str> {
    let cookies = headers.get_all(header::COOKIE).iter().filter_map(|value| value.to_str().ok());
    let pairs = cookies.flat_map(|cookies| cookies.split(';')).filter_map(|pair| pair.trim().split_once('='));
    pairs.filter(|(name, _)| *name == COOKIE).map(|(_, token)| token)
}
