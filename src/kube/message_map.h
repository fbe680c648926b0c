/*
 * Maps in messages (`map<string, string>`, `map<string, Quantity>`). To protobuf-c each of them is
 * a list of entries of a type of its own; here they are all one. Pure. Any thread.
 */
#pragma once

#include "base/arena.h"

#include <protobuf-c/protobuf-c.h>

/**
 * Sets @key of the map @field ("annotations", "limits") in @message to the text @value: the string,
 * or the quantity of that text (NULL: none). Both are copied into @arena. The list and the entries
 * that were there stay as they are, for who shares them: @message gets a new list. A field that is
 * no such map is a fault of the program.
 */
void message_map_set(ProtobufCMessage *message, const char *field, const char *key,
                     const char *value, struct arena *arena);
