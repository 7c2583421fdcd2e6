/* SPDX-License-Identifier: MIT */
/* test_errors.c - every error has a name, a cause and a remedy. */
#define _GNU_SOURCE
#include "util.h"

#include <errno.h>
#include <limits.h>

static const struct {
	int value;
	const char *name, *cause, *remedy;
} errors[] = {
#define ENTRY(name, value, cause, remedy)                                      \
	{ BUS_##name, "BUS_" #name, cause, remedy },
	BUS_ERRORS(ENTRY)
#undef ENTRY
};

static void every_error_tells_cause_and_remedy(void **state)
{
	(void)state;
	for (size_t i = 0; i < N_ELEMENTS(errors); i++) {
		const char *text = bus_strerror(errors[i].value);

		check(strcmp(bus_error_name(errors[i].value), errors[i].name),
		      ==, 0);
		check(strlen(errors[i].cause), >=, 10);
		check(strlen(errors[i].remedy), >=, 10);
		check_text(text, errors[i].cause);
		check_text(text, errors[i].remedy);
		check_true(!strchr(text, '\n'));
		check_true(text[strlen(text) - 1] != '.');
	}
}

static void no_two_errors_share_a_value(void **state)
{
	(void)state;
	for (size_t i = 0; i < N_ELEMENTS(errors); i++)
		for (size_t j = 0; j < i; j++)
			check(errors[i].value, !=, errors[j].value);
}

static void own_errors_are_where_no_errno_is(void **state)
{
	(void)state;
	for (size_t i = 0; i < N_ELEMENTS(errors); i++) {
		check(errors[i].value, <, 0);
		if (errors[i].value < -4096)
			continue;
		check_true(strerrorname_np(-errors[i].value));
		/* it bears the errno's own name */
		check(strcmp(errors[i].name + strlen("BUS_"),
			     strerrorname_np(-errors[i].value)),
		      ==, 0);
	}
}

static void other_errnos_get_the_words_of_strerror(void **state)
{
	(void)state;
	check_true(!bus_error_name(-EXDEV));
	check(strcmp(bus_strerror(-EXDEV), strerror(EXDEV)), ==, 0);
	check_true(!bus_error_name(-4242));
	check_text(bus_strerror(-4242), "4242");
	check_true(!bus_error_name(0));
	check_true(*bus_strerror(0));
	check_true(*bus_strerror(INT_MAX));
	check_true(*bus_strerror(INT_MIN));
}

int main(void)
{
	static const struct CMUnitTest tests[] = {
		cmocka_unit_test(every_error_tells_cause_and_remedy),
		cmocka_unit_test(no_two_errors_share_a_value),
		cmocka_unit_test(own_errors_are_where_no_errno_is),
		cmocka_unit_test(other_errnos_get_the_words_of_strerror),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
