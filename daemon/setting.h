/* SPDX-License-Identifier: MIT */
/* setting.h - a topic's settings: names, limits, defaults. */
#ifndef BUSD_SETTING_H
#define BUSD_SETTING_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "layout.h"

enum busd_setting {
	BUSD_RING_BYTES,
	BUSD_MAX_MESSAGE_BYTES,
	BUSD_PRODUCERS,
	BUSD_SLOW_CONSUMER,
	BUSD_MAX_BLOCK_MS,
	BUSD_STALL_FENCE_MS,
	BUSD_STORAGE,
	BUSD_TIMESTAMP_TYPE,
	BUSD_SETTINGS
};

/* What a frame adds at most to one message: header 32, record header 8, its
 * timestamp 8, size of its headers 8, and padding of key, headers, value. */
#define BUSD_FRAME_OVERHEAD (32 + 8 + 8 + 8 + 3 * 8)

struct busd_settings {
	uint64_t value[BUSD_SETTINGS];
	uint64_t set; /* bit per setting that somebody chose */
};

void busd_settings_init(struct busd_settings *s);

/*
 * Apply lines "name=value", then check that all go together.
 * @text: is cut into its lines.
 * @why:  gets a sentence if it fails.
 * Return: 0, BUS_ESETTING (no such setting or value), BUS_ERANGE.
 */
int busd_settings_apply(struct busd_settings *s, char *text, char *why,
			size_t why_size);

/* Where they live while the topic does. */
void busd_settings_load(struct busd_settings *s,
			const struct bus_topic_page *page);
void busd_settings_store(const struct busd_settings *s,
			 struct bus_topic_page *page);

/* Lines "name=value origin". Return: bytes written, without the NUL. */
size_t busd_settings_print(const struct busd_settings *s, char *text,
			   size_t size);

/* The first that differs, as "name is a, not b" in @why. */
bool busd_settings_differ(const struct busd_settings *have,
			  const struct busd_settings *want, char *why,
			  size_t why_size);

/* The longest frame that they need. */
uint64_t busd_settings_frame_max(const struct busd_settings *s);

#endif
