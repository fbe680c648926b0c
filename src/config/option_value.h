/*
 * The values of options as text: how each type is written on the command line, into a message and
 * back. Inside the config room only. Pure.
 */
#pragma once

#include "config/field.h"
#include "config/options.h"

/**
 * Sets the field of @option in @root (a kubeletconfig.Options) from @text. For lists and maps
 * @first says that this is the first use, which replaces what was there; later uses add. Error
 * INVALID_ARGUMENT with the words of Go's flag and strconv packages, without the flag's name.
 */
MUST_CHECK struct error *option_value_set(ProtobufCMessage *root, const struct option *option,
                                          const char *text, bool first, struct arena *arena);

/** Sets @option to its default of the table; without one nothing happens. */
void option_value_set_default(ProtobufCMessage *root, const struct option *option,
                              struct arena *arena);

/** True when the field holds a value of its own: present and, unless the option is nullable, not
 * zero. */
bool option_value_is_given(ProtobufCMessage *root, const struct option *option);

/** The value as --help and the FLAG lines show it; lives in @arena. */
const char *option_value_text(ProtobufCMessage *root, const struct option *option,
                              struct arena *arena);

/** True for an IPv4 or IPv6 address; an IPv4 part may have leading zeros, as upstream's sloppy
 * parser allows. */
bool option_is_ip(const char *text);

/** 1 t T TRUE true True / 0 f F FALSE false False. False when @text is none of them. */
bool option_parse_bool(const char *text, bool *ret);
