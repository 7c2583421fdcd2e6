/* SPDX-License-Identifier: MIT */
/*
 * format.h - how bus consume prints a record: kcat's percent signs, or JSON.
 */
#ifndef CLI_FORMAT_H
#define CLI_FORMAT_H

#include <bus/bus.h>

#define CLI_FORMAT_HELP                                                        \
	"format:\n"                                                            \
	"  %s  value      %S  its size (-1: a null value)\n"                   \
	"  %k  key        %K  its size (-1: no key)\n"                         \
	"  %t  topic      %p  partition    %o  offset\n"                       \
	"  %T  timestamp in ns since 1970 (-1: none)\n"                        \
	"  %h  headers, as name=value,name=value\n"                            \
	"  %%  a percent sign; \\n \\t \\r \\0 \\\\ \\xNN as usual\n"

struct cli_format {
	char *text;	/* escapes replaced */
	size_t size;
};

/* Return: 0; -EINVAL: it has an unknown letter or escape; -ENOMEM. */
int cli_format_parse(const char *text, struct cli_format *ret);
void cli_format_free(struct cli_format *format);

/* To stdout. */
void cli_format_print(const struct cli_format *format, const char *topic,
		      const struct bus_record *record);
void cli_format_json(const char *topic, const struct bus_record *record);

#endif
