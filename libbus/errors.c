/* SPDX-License-Identifier: MIT */
/* errors.c - words for errors. The list itself is in <bus/errors.h>. */
#include <bus/errors.h>

#include <string.h>

static const struct error {
	int value;
	const char *name;
	const char *text;
} errors[] = {
#define ENTRY(name, value, cause, remedy)                                      \
	{ (value), "BUS_" #name, cause ": " remedy },
	BUS_ERRORS(ENTRY)
#undef ENTRY
};

static const struct error *find(int error)
{
	for (size_t i = 0; i < sizeof(errors) / sizeof(errors[0]); i++)
		if (errors[i].value == error)
			return &errors[i];
	return NULL;
}

const char *bus_strerror(int error)
{
	const struct error *e = find(error);

	if (error >= 0)
		return "no error";
	return e ? e->text : strerror((int)(0u - (unsigned)error));
}

const char *bus_error_name(int error)
{
	const struct error *e = find(error);

	return e ? e->name : NULL;
}
