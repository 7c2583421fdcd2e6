/* SPDX-License-Identifier: MIT */
/*
 * hold.h - what keeper and worker say to each other, and how either starts the
 * other. See hold.c.
 */
#ifndef BUSD_HOLD_H
#define BUSD_HOLD_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#include <urcu/list.h>

/* Command line, and what one half gives the other at exec. */
struct busd_options {
	const char *dir;
	bool foreground;
	int ready_fd; /* -1: nobody asked */
	const char *role; /* NULL: started by a user, becomes keeper */
	int channel; /* of a half that was started by the other */
	pid_t peer; /* the half that started this one */
};

enum busd_hold_type {
	BUSD_HOLD = 1, /* hold this; to the keeper: is answered by ACK */
	BUSD_DROP, /* let it go */
	BUSD_ACK, /* status: 0 or why it is not held */
	BUSD_DONE, /* to a new worker: that was all */
	BUSD_READY, /* from the worker: clients can connect */
	BUSD_STOP, /* to the worker: end; from it: ended cleanly */
};

/* What is held: its descriptors and what info says. */
enum busd_hold_kind {
	BUSD_INSTANCE = 1, /* listening socket, lock: BUSD_INFO_* */
	BUSD_TOPIC, /* topic file: topic id */
	BUSD_PART, /* part file: topic id, partition */
	BUSD_RING, /* head and ring file: topic id, partition */
	BUSD_CLIENT, /* socket, pidfd: pid, BUSD_CLIENT_* */
};

enum { BUSD_INFO_STARTED, BUSD_INFO_RESTARTS, BUSD_INFO_REPAIRS };
enum { BUSD_INFO_TOPIC, BUSD_INFO_PARTITION };
enum { BUSD_INFO_PID, BUSD_INFO_DELETE };

#define BUSD_HOLD_FDS 2
#define BUSD_HOLD_INFO 4

struct busd_hold_msg {
	uint32_t type;
	uint32_t kind;
	uint64_t key; /* unique among all of its kind */
	int32_t status;
	uint32_t n_fds;
	uint64_t info[BUSD_HOLD_INFO];
};

/* One holding, in the list of either half. */
struct busd_held {
	struct cds_list_head link;
	struct busd_hold_msg msg;
	int fd[BUSD_HOLD_FDS];
};

void busd_held_init(struct busd_held *held, enum busd_hold_kind kind,
		    uint64_t key);
void busd_held_close(struct busd_held *held);

/* Take the place of @from in its list, and its descriptors. */
void busd_held_move(struct busd_held *from, struct busd_held *to);

/* The other half: its socket and proof of its life. */
struct busd_peer {
	int channel;
	int pidfd;
	pid_t pid;
	bool child; /* ours to wait for */
};

/* messages; 0 or -errno, -EPIPE if the other half is gone */

int busd_hold_send(int channel, const struct busd_hold_msg *msg, const int *fd);
int busd_hold_tell(int channel, enum busd_hold_type type);

/* fd[] beyond n_fds is -1; descriptors that were cut off give -EMFILE. */
int busd_hold_receive(int channel, struct busd_hold_msg *msg,
		      int fd[BUSD_HOLD_FDS]);

/* the other half */

/* Start it. */
int busd_peer_spawn(const struct busd_options *options, const char *role,
		    struct busd_peer *ret);

/* Take the one that started this process for it. */
int busd_peer_adopt(const struct busd_options *options, struct busd_peer *ret);

/* Whether it is proven dead. */
bool busd_peer_dead(const struct busd_peer *peer);

/*
 * Make sure that it is dead, and forget it. Return: the status of waitpid() if
 * it was a child, else 0.
 */
int busd_peer_bury(struct busd_peer *peer);

#endif
