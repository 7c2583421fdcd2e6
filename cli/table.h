/* SPDX-License-Identifier: MIT */
/*
 * table.h - columns as wide as what stands in them.
 */
#ifndef CLI_TABLE_H
#define CLI_TABLE_H

#include <stddef.h>

struct cli_table {
	size_t n_columns;
	const char *align;	/* per column: 'l' or 'r' */
	char **cells;		/* row by row */
	size_t n_cells;
};

/* @align also says how many columns: "lrr" is three. Kept. */
#define CLI_TABLE(align)                                                       \
	((struct cli_table){ sizeof(align) - 1, align, NULL, 0 })

/* The next cell, row by row. Without memory the program ends. */
void cli_table_add(struct cli_table *table, const char *format, ...)
	__attribute__((format(printf, 2, 3)));

/* A row of headings: "TOPIC|PARTITIONS|RING". */
void cli_table_heads(struct cli_table *table, const char *heads);

/* Print and empty it. @indent: blanks before each row. */
void cli_table_print(struct cli_table *table, int indent);

/* Empty it. */
void cli_table_free(struct cli_table *table);

#endif
