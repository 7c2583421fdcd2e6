/* SPDX-License-Identifier: MIT */
/*
 * table.c - columns as wide as what stands in them.
 */
#include "table.h"

#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "cli.h"
#include "report.h"

void cli_table_add(struct cli_table *t, const char *format, ...)
{
	char **cells = reallocarray(t->cells, t->n_cells + 1, sizeof(*cells));
	va_list args;
	int r = -1;

	if (cells) {
		t->cells = cells;
		va_start(args, format);
		r = vasprintf(&cells[t->n_cells], format, args);
		va_end(args);
	}
	if (r < 0)
		exit(cli_error("out of memory"));
	t->n_cells++;
}

void cli_table_heads(struct cli_table *t, const char *heads)
{
	for (;;) {
		int n = (int)strcspn(heads, "|");

		cli_table_add(t, "%.*s", n, heads);
		if (!heads[n])
			return;
		heads += n + 1;
	}
}

static int column_width(const struct cli_table *t, size_t column)
{
	size_t width = 0;

	for (size_t i = column; i < t->n_cells; i += t->n_columns) {
		size_t n = strlen(t->cells[i]);

		if (n > width)
			width = n;
	}
	return (int)width;
}

static void print_cell(const struct cli_table *t, size_t i, int width)
{
	size_t column = i % t->n_columns;
	bool last = column == t->n_columns - 1;

	if (t->align[column] == 'l')
		width = last ? 0 : -width; /* no blanks at the end */
	printf("%*s%s", width, t->cells[i], last ? "\n" : "  ");
}

void cli_table_free(struct cli_table *t)
{
	for (size_t i = 0; i < t->n_cells; i++)
		free(t->cells[i]);
	free(t->cells);
	t->cells = NULL;
	t->n_cells = 0;
}

void cli_table_print(struct cli_table *t, int indent)
{
	int *widths = calloc(t->n_columns, sizeof(*widths));

	if (!widths)
		exit(cli_error("out of memory"));
	for (size_t c = 0; c < t->n_columns; c++)
		widths[c] = column_width(t, c);
	for (size_t i = 0; i < t->n_cells; i++) {
		if (i % t->n_columns == 0)
			printf("%*s", indent, "");
		print_cell(t, i, widths[i % t->n_columns]);
	}
	free(widths);
	cli_table_free(t);
}
