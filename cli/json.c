/* SPDX-License-Identifier: MIT */
/*
 * json.c - writing JSON to stdout: commas and escapes are put where needed.
 *
 * Errors of stdout are stdout's: whoever wrote asks ferror() at the end.
 */
#include "json.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

static void put_text(const unsigned char *s, size_t n)
{
	putchar('"');
	for (size_t i = 0; i < n; i++) {
		if (s[i] == '"' || s[i] == '\\')
			printf("\\%c", s[i]);
		else if (s[i] == '\n')
			fputs("\\n", stdout);
		else if (s[i] < 0x20 || s[i] == 0x7f)
			printf("\\u%04x", s[i]);
		else
			putchar(s[i]);
	}
	putchar('"');
}

static void put_key(struct cli_json *j, const char *key)
{
	if (j->comma)
		putchar(',');
	j->comma = true;
	if (key) {
		put_text((const unsigned char *)key, strlen(key));
		putchar(':');
	}
}

void cli_json_open(struct cli_json *j, const char *key, char bracket)
{
	put_key(j, key);
	putchar(bracket);
	j->comma = false;
}

void cli_json_close(struct cli_json *j, char bracket)
{
	putchar(bracket);
	j->comma = true;
}

void cli_json_string(struct cli_json *j, const char *key, const char *text)
{
	put_key(j, key);
	put_text((const unsigned char *)text, strlen(text));
}

void cli_json_number(struct cli_json *j, const char *key, int64_t v)
{
	put_key(j, key);
	printf("%" PRId64, v);
}

void cli_json_unsigned(struct cli_json *j, const char *key, uint64_t v)
{
	put_key(j, key);
	printf("%" PRIu64, v);
}

void cli_json_bool(struct cli_json *j, const char *key, bool v)
{
	put_key(j, key);
	fputs(v ? "true" : "false", stdout);
}

void cli_json_null(struct cli_json *j, const char *key)
{
	put_key(j, key);
	fputs("null", stdout);
}

/* The length of the character at @s, or 0: not UTF-8 (too long a form, a
 * surrogate, above U+10FFFF, cut off). */
static size_t utf8_length(const unsigned char *s, size_t n)
{
	uint32_t c = s[0], min;
	size_t len;

	if (c < 0x80)
		return 1;
	if (c >= 0xc2 && c < 0xe0) {
		len = 2;
		min = 0x80;
		c &= 0x1f;
	} else if (c >= 0xe0 && c < 0xf0) {
		len = 3;
		min = 0x800;
		c &= 0x0f;
	} else if (c >= 0xf0 && c < 0xf5) {
		len = 4;
		min = 0x10000;
		c &= 0x07;
	} else {
		return 0;
	}
	if (n < len)
		return 0;
	for (size_t i = 1; i < len; i++) {
		if ((s[i] & 0xc0) != 0x80)
			return 0;
		c = c << 6 | (s[i] & 0x3f);
	}
	return c < min || c > 0x10ffff || (c >> 11) == 0x1b ? 0 : len;
}

static bool is_utf8(const unsigned char *s, size_t n)
{
	for (size_t i = 0, len; i < n; i += len) {
		len = utf8_length(s + i, n - i);
		if (!len)
			return false;
	}
	return true;
}

static void put_base64(const unsigned char *s, size_t n)
{
	static const char digits[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZ"
				     "abcdefghijklmnopqrstuvwxyz0123456789+/";

	putchar('"');
	for (size_t i = 0; i < n; i += 3) {
		uint32_t v = (uint32_t)s[i] << 16;

		v |= i + 1 < n ? (uint32_t)s[i + 1] << 8 : 0;
		v |= i + 2 < n ? s[i + 2] : 0;
		putchar(digits[v >> 18]);
		putchar(digits[v >> 12 & 63]);
		putchar(i + 1 < n ? digits[v >> 6 & 63] : '=');
		putchar(i + 2 < n ? digits[v & 63] : '=');
	}
	putchar('"');
}

void cli_json_bytes(struct cli_json *j, const char *key, const void *data,
		    size_t size)
{
	char encoding[64];

	if (!data) {
		cli_json_null(j, key);
		return;
	}
	put_key(j, key);
	if (is_utf8(data, size)) {
		put_text(data, size);
		return;
	}
	put_base64(data, size);
	snprintf(encoding, sizeof(encoding), "%s_encoding", key);
	cli_json_string(j, encoding, "base64");
}
