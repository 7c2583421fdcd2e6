/* SPDX-License-Identifier: MIT */
/*
 * input.h - a descriptor cut into records at a delimiter.
 */
#ifndef CLI_INPUT_H
#define CLI_INPUT_H

#include <stdbool.h>
#include <stddef.h>

/* No topic takes a larger record, so that no larger one is collected. */
#define CLI_INPUT_MAX ((size_t)4 << 20)

struct cli_input {
	int fd;
	const char *delimiter;
	size_t delimiter_size;
	char *buffer;
	size_t size;
	size_t begin, end;	/* read and not handed out yet */
	size_t searched;	/* from begin: no delimiter in there */
	bool at_end;
};

/* Nothing to free before the first cli_input_fill(). */
void cli_input_free(struct cli_input *input);

/*
 * The next record of what has been read; what follows the last delimiter is
 * one too, at the end of the input, unless it is empty.
 * @ret: valid until the next cli_input_fill().
 * Return: 1, or 0: fill first.
 */
int cli_input_next(struct cli_input *input, const char **ret, size_t *ret_size);

/*
 * Read a block more: what is there, without waiting for the block to be full.
 * Return: 1; 0 at the end, with all handed out; a negative errno; -EMSGSIZE if
 * a record is longer than CLI_INPUT_MAX.
 */
int cli_input_fill(struct cli_input *input);

#endif
