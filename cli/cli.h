/* SPDX-License-Identifier: MIT */
/*
 * cli.h - the verbs of the bus command, and how each of them ends.
 */
#ifndef CLI_CLI_H
#define CLI_CLI_H

#include <bus/bus.h>

/* Exit codes; bus help exits and bus(1) list them. */
enum cli_exit {
	CLI_OK = 0,
	CLI_ERROR = 1,		/* the bus or the system said no */
	CLI_USAGE = 2,		/* the command line is wrong */
	CLI_NO_BUS = 3,		/* no instance, or busd is not running */
	CLI_NO_TOPIC = 4,	/* no such topic, or it was deleted */
	CLI_SHORT = 5,		/* consumed less than asked in the time */
	CLI_LOST = 6,		/* records were lost before they were read */
};

#define CLI_CLEANUP(f) __attribute__((cleanup(f)))

/* Verbs: argv[0] is the verb; they return the exit code */

int cli_up(int argc, char **argv);
int cli_down(int argc, char **argv);
int cli_status(int argc, char **argv);
int cli_topic_create(int argc, char **argv);
int cli_topic_list(int argc, char **argv);
int cli_topic_describe(int argc, char **argv);
int cli_topic_alter(int argc, char **argv);
int cli_topic_delete(int argc, char **argv);
int cli_produce(int argc, char **argv);
int cli_consume(int argc, char **argv);
int cli_stat(int argc, char **argv);
int cli_bench(int argc, char **argv);
int cli_doctor(int argc, char **argv);

#endif
