/* SPDX-License-Identifier: MIT */
/*
 * json.h - writing JSON to stdout: commas and escapes are put where needed.
 *
 *	struct cli_json j = { 0 };
 *
 *	cli_json_open(&j, NULL, '{');		{
 *	cli_json_string(&j, "topic", "orders");	 "topic":"orders",
 *	cli_json_number(&j, "offset", 7);	 "offset":7
 *	cli_json_close(&j, '}');		}
 *
 * The key is NULL inside of arrays and outside of everything.
 */
#ifndef CLI_JSON_H
#define CLI_JSON_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct cli_json {
	bool comma;	/* something stands before, on this level */
};

void cli_json_open(struct cli_json *json, const char *key, char bracket);
void cli_json_close(struct cli_json *json, char bracket);
void cli_json_string(struct cli_json *json, const char *key, const char *text);
void cli_json_number(struct cli_json *json, const char *key, int64_t v);
void cli_json_unsigned(struct cli_json *json, const char *key, uint64_t v);
void cli_json_bool(struct cli_json *json, const char *key, bool v);
void cli_json_null(struct cli_json *json, const char *key);

/*
 * Bytes of any kind: as a string if they are UTF-8, else in base64, and then
 * "KEY_encoding":"base64" follows. NULL: null.
 */
void cli_json_bytes(struct cli_json *json, const char *key, const void *data,
		    size_t size);

#endif
