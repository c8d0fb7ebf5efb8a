// The plugin of testdata/guests in C, without a library, against Extism's interface alone.
#include <stdint.h>

#define ENV(name) __attribute__((import_module("extism:host/env"), import_name(#name)))
#define PLUGIN(name) __attribute__((export_name(#name))) int32_t name##_(void)

ENV(input_length) uint64_t input_length(void);
ENV(input_load_u8) uint32_t input_load_u8(uint64_t at);
ENV(input_load_u64) uint64_t input_load_u64(uint64_t at);
ENV(alloc) uint64_t alloc(uint64_t n);
ENV(free) void release(uint64_t block);
ENV(length) uint64_t length(uint64_t block);
ENV(load_u8) uint32_t load_u8(uint64_t at);
ENV(store_u8) void store_u8(uint64_t at, uint32_t byte);
ENV(store_u64) void store_u64(uint64_t at, uint64_t word);
ENV(output_set) void output_set(uint64_t block, uint64_t n);
ENV(error_set) void error_set(uint64_t block);
ENV(config_get) uint64_t config_get(uint64_t name);
ENV(var_get) uint64_t var_get(uint64_t name);
ENV(var_set) void var_set(uint64_t name, uint64_t value);
ENV(log_info) void log_info(uint64_t block);
ENV(http_request) uint64_t http_request(uint64_t request, uint64_t body);
ENV(http_status_code) int32_t http_status_code(void);
ENV(http_headers) uint64_t http_headers(void);

static uint64_t input(void) {
  uint64_t n = input_length(), block = alloc(n), i = 0;
  for (; i + 8 <= n; i += 8) store_u64(block + i, input_load_u64(i));
  for (; i < n; i++) store_u8(block + i, input_load_u8(i));
  return block;
}

static uint64_t text(const char *s) {
  uint64_t n = 0;
  while (s[n]) n++;
  uint64_t block = alloc(n);
  for (uint64_t i = 0; i < n; i++) store_u8(block + i, (uint8_t)s[i]);
  return block;
}

static int32_t answer(uint64_t block) {
  output_set(block, length(block));
  return 0;
}

PLUGIN(echo) { return answer(input()); }

static int calls;

PLUGIN(count) {
  calls++;
  uint64_t old = var_get(text("n"));
  uint32_t n = old ? load_u8(old) - '0' : 0;
  uint64_t now = alloc(1);
  store_u8(now, '0' + n + calls);
  var_set(text("n"), now);
  return answer(var_get(text("n")));
}

PLUGIN(config) {
  uint64_t value = config_get(text("greeting"));
  return answer(value ? value : text("null"));
}

PLUGIN(log) {
  log_info(input());
  return answer(text("true"));
}

PLUGIN(fail) {
  error_set(input());
  return 1;
}

PLUGIN(trap) { __builtin_trap(); }

static uint64_t out, used;

static void put(uint64_t block) {
  for (uint64_t i = 0, n = length(block); i < n; i++) store_u8(out + used++, load_u8(block + i));
  release(block);
}

PLUGIN(fetch) {
  uint64_t body = http_request(input(), 0);
  int32_t status = http_status_code();
  uint64_t headers = http_headers();
  uint64_t number = alloc(3);
  for (int i = 2; i >= 0; i--, status /= 10) store_u8(number + i, '0' + status % 10);
  uint64_t n = length(body) + length(headers) + 40;
  out = alloc(n);
  put(text("{\"status\":"));
  put(number);
  put(text(",\"headers\":"));
  put(headers);
  put(text(",\"body\":"));
  put(body);
  put(text("}"));
  output_set(out, used);
  return 0;
}
