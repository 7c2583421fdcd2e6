/* SPDX-License-Identifier: MIT */
/*
 * units.h - numbers, times and sizes as people write them.
 */
#ifndef CLI_UNITS_H
#define CLI_UNITS_H

#include <stddef.h>
#include <stdint.h>
#include <time.h>

#define CLI_SECOND INT64_C(1000000000)
#define CLI_MS INT64_C(1000000)

/* Reading. Return: 0 or -EINVAL. */

int cli_parse_number(const char *text, uint64_t *ret);
/* A number with ns, us, ms, s, m or h behind it; s without. In ns. */
int cli_parse_duration(const char *text, int64_t *ret);
/*
 * Replace \n \r \t \0 \\ \xNN; any other \ is an error.
 * @out: as long as @text, may be @text. @size: gets the length.
 */
int cli_unescape(const char *text, char *out, size_t *size);

/* Writing. A struct by value, so that it fits into an argument list. */

struct cli_text {
	char s[32];
};

struct cli_text cli_bytes(uint64_t bytes);	/* 16.0 MiB */
struct cli_text cli_span(int64_t ns);		/* 1.25 ms */
struct cli_text cli_count(uint64_t n);		/* 69,659 */
struct cli_text cli_date(int64_t ns);		/* 2024-02-29 13:00:00 */

/* Clocks, in ns */

int64_t cli_now(clockid_t clock);

#endif
