/* SPDX-License-Identifier: MIT */
/*
 * input.c - a descriptor cut into records at a delimiter.
 *
 * One buffer: what has been read and not handed out yet moves to its front
 * before each read(2), and it doubles when a record does not fit.
 */
#include "input.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define BLOCK ((size_t)256 << 10)

void cli_input_free(struct cli_input *in)
{
	free(in->buffer);
	in->buffer = NULL;
}

int cli_input_next(struct cli_input *in, const char **ret, size_t *ret_size)
{
	size_t left = in->end - in->begin;
	char *p = in->buffer + in->begin, *cut = NULL;

	if (!left)
		return 0;
	if (in->searched < left)
		cut = memmem(p + in->searched, left - in->searched,
			     in->delimiter, in->delimiter_size);
	if (!cut && !in->at_end) {
		/* The delimiter may be half there. */
		if (left >= in->delimiter_size)
			in->searched = left - in->delimiter_size + 1;
		return 0;
	}
	*ret = p;
	*ret_size = cut ? (size_t)(cut - p) : left;
	in->begin += *ret_size + (cut ? in->delimiter_size : 0);
	in->searched = 0;
	return 1;
}

static int make_room(struct cli_input *in)
{
	size_t left = in->end - in->begin, size = in->size;
	char *buffer;

	if (left)
		memmove(in->buffer, in->buffer + in->begin, left);
	in->begin = 0;
	in->end = left;
	if (left > CLI_INPUT_MAX)
		return -EMSGSIZE;
	if (size - left >= BLOCK / 2)
		return 0;
	size = size ? 2 * size : BLOCK;
	buffer = realloc(in->buffer, size);
	if (!buffer)
		return -ENOMEM;
	in->buffer = buffer;
	in->size = size;
	return 0;
}

int cli_input_fill(struct cli_input *in)
{
	ssize_t n;
	int r;

	if (in->at_end)
		return 0;
	r = make_room(in);
	if (r < 0)
		return r;
	n = read(in->fd, in->buffer + in->end, in->size - in->end);
	if (n < 0)
		return -errno;
	in->end += (size_t)n;
	in->at_end = n == 0;
	/* At the end there may be a last record, without a delimiter. */
	return n > 0 || in->end > in->begin;
}
