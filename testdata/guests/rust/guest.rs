//! The plugin of testdata/guests in Rust, against Extism's interface alone.

use std::fmt::Write;
use std::sync::atomic::{AtomicU32, Ordering};

#[link(wasm_import_module = "extism:host/env")]
extern "C" {
    fn input_length() -> u64;
    fn input_load_u8(at: u64) -> u32;
    fn input_load_u64(at: u64) -> u64;
    fn alloc(n: u64) -> u64;
    fn free(block: u64);
    fn length(block: u64) -> u64;
    fn load_u8(at: u64) -> u32;
    fn load_u64(at: u64) -> u64;
    fn store_u8(at: u64, byte: u32);
    fn store_u64(at: u64, word: u64);
    fn output_set(block: u64, n: u64);
    fn error_set(block: u64);
    fn config_get(name: u64) -> u64;
    fn var_get(name: u64) -> u64;
    fn var_set(name: u64, value: u64);
    fn log_info(block: u64);
    fn http_request(request: u64, body: u64) -> u64;
    fn http_status_code() -> i32;
    fn http_headers() -> u64;
}

fn input() -> Vec<u8> {
    let n = unsafe { input_length() };
    let mut bytes = Vec::with_capacity(n as usize);
    let mut at = 0;
    while at + 8 <= n {
        bytes.extend_from_slice(&unsafe { input_load_u64(at) }.to_le_bytes());
        at += 8;
    }
    while at < n {
        bytes.push(unsafe { input_load_u8(at) } as u8);
        at += 1;
    }
    bytes
}

fn block(bytes: &[u8]) -> u64 {
    let at = unsafe { alloc(bytes.len() as u64) };
    let words = bytes.chunks_exact(8);
    let rest = words.remainder();
    let mut to = at;
    for word in words {
        unsafe { store_u64(to, u64::from_le_bytes(word.try_into().unwrap())) };
        to += 8;
    }
    for byte in rest {
        unsafe { store_u8(to, *byte as u32) };
        to += 1;
    }
    at
}

/// take reads a block and frees it; None when there is none.
fn take(at: u64) -> Option<Vec<u8>> {
    if at == 0 {
        return None;
    }
    let n = unsafe { length(at) };
    let mut bytes = Vec::with_capacity(n as usize);
    let mut i = 0;
    while i + 8 <= n {
        bytes.extend_from_slice(&unsafe { load_u64(at + i) }.to_le_bytes());
        i += 8;
    }
    while i < n {
        bytes.push(unsafe { load_u8(at + i) } as u8);
        i += 1;
    }
    unsafe { free(at) };
    Some(bytes)
}

fn answer(bytes: &[u8]) -> i32 {
    unsafe { output_set(block(bytes), bytes.len() as u64) };
    0
}

#[no_mangle]
pub extern "C" fn echo() -> i32 {
    answer(&input())
}

static CALLS: AtomicU32 = AtomicU32::new(0);

#[no_mangle]
pub extern "C" fn count() -> i32 {
    let calls = CALLS.fetch_add(1, Ordering::Relaxed) + 1;
    let old = take(unsafe { var_get(block(b"n")) }).map_or(0, |b| String::from_utf8(b).unwrap().parse().unwrap());
    unsafe { var_set(block(b"n"), block((old + calls).to_string().as_bytes())) };
    answer(&take(unsafe { var_get(block(b"n")) }).unwrap())
}

#[no_mangle]
pub extern "C" fn config() -> i32 {
    answer(&take(unsafe { config_get(block(b"greeting")) }).unwrap_or_else(|| b"null".to_vec()))
}

#[no_mangle]
pub extern "C" fn log() -> i32 {
    unsafe { log_info(block(&input())) };
    answer(b"true")
}

#[no_mangle]
pub extern "C" fn fail() -> i32 {
    unsafe { error_set(block(&input())) };
    1
}

#[no_mangle]
pub extern "C" fn trap() -> i32 {
    panic!("as asked")
}

#[no_mangle]
pub extern "C" fn fetch() -> i32 {
    let body = take(unsafe { http_request(block(&input()), 0) }).unwrap_or_default();
    let headers = take(unsafe { http_headers() }).unwrap();
    let mut out = String::new();
    write!(
        out,
        r#"{{"status":{},"headers":{},"body":{}}}"#,
        unsafe { http_status_code() },
        String::from_utf8(headers).unwrap(),
        String::from_utf8(body).unwrap()
    )
    .unwrap();
    answer(out.as_bytes())
}
