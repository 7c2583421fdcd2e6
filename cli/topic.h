/* SPDX-License-Identifier: MIT */
/*
 * topic.h - the settings of a topic, from the text that describes them.
 */
#ifndef CLI_TOPIC_H
#define CLI_TOPIC_H

#include <stddef.h>
#include <stdint.h>

#include <bus/bus.h>

struct cli_setting {
	char name[64], value[64], origin[16];
};

/*
 * Take the next line "name=value origin" of a description.
 * @text: moves on.
 * Return: 1, or 0 after the last one.
 */
int cli_setting_next(const char **text, struct cli_setting *ret);

/* The value of a setting as a number of bytes; 0 if it cannot be had. */
uint64_t cli_setting_of(struct bus *bus, const char *topic, const char *name);

#endif
