// SPDX-License-Identifier: Apache-2.0
#ifndef BASE_BANNED_H
#define BASE_BANNED_H
// Calls that write without a bound, keep hidden state or hide errors are compile errors from here on. Use struct buf,
// snprintf, slice_split and slice_u64. The headers come first, since a poisoned name may not even be declared.
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#pragma GCC poison strcpy strcat strncpy strncat stpcpy sprintf vsprintf gets tmpnam mktemp
#pragma GCC poison strtok atoi atol atoll atof

#endif
