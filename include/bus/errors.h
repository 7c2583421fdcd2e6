/* SPDX-License-Identifier: MIT */
/*
 * errors.h - every error that libbus returns, in one list.
 *
 * All of them are negative. Those that mean what an errno means have its
 * value, so that code which knows errno understands them; the rest live in a
 * private range below -4096, where no errno of Linux ever is.
 *
 * X(name, value, cause, remedy)
 */
#ifndef BUS_ERRORS_H
#define BUS_ERRORS_H

#include <errno.h>

#define BUS_ERRORS(X)                                                          \
	X(EAGAIN, -EAGAIN, "no room now, or nothing to read now",              \
	  "try again, or give a time-out")                                     \
	X(EINTR, -EINTR, "a signal came while the call slept",                 \
	  "call again, or end")                                                \
	X(EINVAL, -EINVAL, "an argument is not allowed",                       \
	  "see the comment of the call in <bus/bus.h>")                        \
	X(EMSGSIZE, -EMSGSIZE,                                                 \
	  "the record is larger than the topic or the buffer allows",          \
	  "raise max.message.bytes (and ring.bytes to four times that), or "   \
	  "give a larger buffer")                                              \
	X(ENOENT, -ENOENT, "no such topic",                                    \
	  "create it: bus topic create NAME")                                  \
	X(EEXIST, -EEXIST, "the topic is there already",                       \
	  "use it as it is, alter it, or choose another name")                 \
	X(EACCES, -EACCES, "this user may not use this instance",              \
	  "run as the user that started busd; access lists are to come")       \
	X(ENOMEM, -ENOMEM, "the memory is not to be had",                      \
	  "choose a smaller ring.bytes, delete a topic, or free memory")       \
	X(EMFILE, -EMFILE, "too many open descriptors",                        \
	  "raise the limit: ulimit -n (bus doctor shows it)")                  \
	X(EBUSY, -EBUSY, "somebody else has it",                               \
	  "wait until it detaches, or create the topic with producers=many")   \
	X(EUSERS, -EUSERS, "every slot of the partition is taken",             \
	  "close handles that are not used, or add partitions")                \
	X(ERANGE, -ERANGE, "out of range",                                     \
	  "see bus topic describe NAME for what there is")                     \
	X(ENAMETOOLONG, -ENAMETOOLONG, "the name or the path is too long",     \
	  "topic names have up to 128 characters; a socket path up to 107")    \
	X(ECONNREFUSED, -ECONNREFUSED, "busd is not running",                  \
	  "start it: bus up")                                                  \
	X(ECONNRESET, -ECONNRESET, "busd went away or cut the connection",     \
	  "open the bus again; bus status tells whether busd runs")            \
	X(ETIMEDOUT, -ETIMEDOUT, "the time-out passed",                        \
	  "give more time, or look who holds it up: bus stat")                 \
	X(EPROTO, -EPROTO, "the other side sent what cannot be right",         \
	  "check that busd and libbus are of one release")                     \
	X(ENOSYS, -ENOSYS, "this kernel lacks a call that libbus needs",       \
	  "run Linux 5.16 or later")                                           \
	X(ELAPPED, -5001, "the ring went over records before they were read",  \
	  "bus_consumer_lost() tells which; read faster, enlarge ring.bytes, " \
	  "or set slow.consumer=block")                                        \
	X(EFENCED, -5002, "this producer was left behind by a roll",           \
	  "the record was not published: send it again")                       \
	X(EINDEFINITE, -5003, "whether the record was published is not known", \
	  "call again: the handle finishes it first")                          \
	X(EFORKED, -5004, "the handle belongs to the parent of this process",  \
	  "open the bus again in the child")                                   \
	X(EVERSION, -5005, "busd and libbus are of different versions",        \
	  "install one release of both, then bus down and bus up")             \
	X(EGONE, -5006, "the topic was deleted",                               \
	  "close the handle; create the topic again if it is needed")          \
	X(ESETTING, -5007, "no such setting, or not this value",               \
	  "bus topic create --help lists the settings")                        \
	X(ENAME, -5008, "not a legal topic name",                              \
	  "use A-Z a-z 0-9 . _ - and no leading dot, up to 128 characters")    \
	X(ENODIR, -5009, "no instance of the bus was found",                   \
	  "start one: bus up --dir DIR, and give the same --dir or BUS_DIR")   \
	X(ECORRUPT, -5010, "shared memory holds what cannot be right",         \
	  "a producer wrote outside of its frame: see bus stat for who")

enum bus_error {
#define BUS_ERROR_VALUE(name, value, cause, remedy) BUS_##name = (value),
	BUS_ERRORS(BUS_ERROR_VALUE)
#undef BUS_ERROR_VALUE
};

#ifdef __cplusplus
extern "C" {
#endif
#pragma GCC visibility push(default)

/*
 * What went wrong and what to do, as one static line of text.
 * @error: a negative value that a call of libbus returned; any other errno
 *         gets the words of strerror(3).
 * Context: any thread, never blocks, never fails.
 */
const char *bus_strerror(int error);

/*
 * The name of an error ("BUS_ELAPPED"), or NULL for one that is not listed.
 * Context: any thread, never blocks.
 */
const char *bus_error_name(int error);

#pragma GCC visibility pop

#ifdef __cplusplus
}
#endif
#endif
