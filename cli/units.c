/* SPDX-License-Identifier: MIT */
/*
 * units.c - numbers, times and sizes as people write them.
 */
#include "units.h"

#include <ctype.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

int cli_parse_number(const char *text, uint64_t *ret)
{
	char *end;
	uint64_t v;

	if (!isdigit((unsigned char)*text))
		return -EINVAL;
	errno = 0;
	v = strtoull(text, &end, 10);
	if (errno || *end)
		return -EINVAL;
	*ret = v;
	return 0;
}

int cli_parse_duration(const char *text, int64_t *ret)
{
	static const struct {
		const char *name;
		double ns;
	} units[] = {
		{ "", 1e9 },   { "s", 1e9 },  { "ms", 1e6 },   { "us", 1e3 },
		{ "ns", 1e0 }, { "m", 6e10 }, { "h", 3.6e12 },
	};
	char *end;
	double v;

	if (!isdigit((unsigned char)*text) && *text != '.')
		return -EINVAL;
	v = strtod(text, &end);
	for (size_t i = 0; i < sizeof(units) / sizeof(units[0]); i++) {
		if (strcmp(end, units[i].name))
			continue;
		if (!(v * units[i].ns < 9e18))
			return -EINVAL;
		*ret = (int64_t)(v * units[i].ns);
		return 0;
	}
	return -EINVAL;
}

static int hex_digit(char c)
{
	if (c >= '0' && c <= '9')
		return c - '0';
	c = (char)(c | 0x20);
	return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

int cli_unescape(const char *text, char *out, size_t *size)
{
	char *o = out;

	for (const char *p = text; *p; p++) {
		if (*p != '\\') {
			*o++ = *p;
			continue;
		}
		switch (*++p) {
		case 'n':
			*o++ = '\n';
			break;
		case 'r':
			*o++ = '\r';
			break;
		case 't':
			*o++ = '\t';
			break;
		case '0':
			*o++ = '\0';
			break;
		case '\\':
			*o++ = '\\';
			break;
		case 'x':
			if (hex_digit(p[1]) < 0 || hex_digit(p[2]) < 0)
				return -EINVAL;
			*o++ = (char)(hex_digit(p[1]) << 4 | hex_digit(p[2]));
			p += 2;
			break;
		default:
			return -EINVAL;
		}
	}
	*size = (size_t)(o - out);
	return 0;
}

struct cli_text cli_bytes(uint64_t bytes)
{
	static const char *const units[] = { "B", "KiB", "MiB", "GiB", "TiB" };
	struct cli_text t;
	double v = (double)bytes;
	unsigned u = 0;

	while (v >= 1024 && u < 4) {
		v /= 1024;
		u++;
	}
	snprintf(t.s, sizeof(t.s), u ? "%.1f %s" : "%.0f %s", v, units[u]);
	return t;
}

struct cli_text cli_span(int64_t ns)
{
	struct cli_text t;
	double v = (double)ns;

	if (v < 1e3)
		snprintf(t.s, sizeof(t.s), "%.0f ns", v);
	else if (v < 1e6)
		snprintf(t.s, sizeof(t.s), "%.1f us", v / 1e3);
	else if (v < 1e9)
		snprintf(t.s, sizeof(t.s), "%.1f ms", v / 1e6);
	else if (v < 6e10)
		snprintf(t.s, sizeof(t.s), "%.2f s", v / 1e9);
	else if (v < 3.6e12)
		snprintf(t.s, sizeof(t.s), "%.0f min", v / 6e10);
	else
		snprintf(t.s, sizeof(t.s), "%.1f h", v / 3.6e12);
	return t;
}

struct cli_text cli_count(uint64_t n)
{
	char digits[24];
	struct cli_text t;
	int len =
		snprintf(digits, sizeof(digits), "%llu", (unsigned long long)n);
	char *o = t.s;

	for (int i = 0; i < len; i++) {
		if (i && (len - i) % 3 == 0)
			*o++ = ',';
		*o++ = digits[i];
	}
	*o = '\0';
	return t;
}

struct cli_text cli_date(int64_t ns)
{
	time_t s = (time_t)(ns / CLI_SECOND);
	struct cli_text t;
	struct tm tm;

	if (!localtime_r(&s, &tm) ||
	    !strftime(t.s, sizeof(t.s), "%Y-%m-%d %H:%M:%S", &tm))
		snprintf(t.s, sizeof(t.s), "%lld", (long long)s);
	return t;
}

int64_t cli_now(clockid_t clock)
{
	struct timespec t;

	clock_gettime(clock, &t);
	return t.tv_sec * CLI_SECOND + t.tv_nsec;
}
