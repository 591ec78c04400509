/* SPDX-License-Identifier: MIT */
/* The rules for messages on the wire, of both directions: what wire.proto says of their fields. */
#ifndef TRANSPORT_WIRE_SOUND_H
#define TRANSPORT_WIRE_SOUND_H

#include "lockcore/message.h"

/*
 * Is every enum one of its values, every name one that a directory can have, every length within
 * its bound? Strings end within their bound, or it is false.
 */
bool wire_is_sound(const struct message *m);

#endif
