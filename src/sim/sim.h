// SPDX-License-Identifier: Apache-2.0
#ifndef SIM_SIM_H
#define SIM_SIM_H
// `gridtie sim`: a scripted provider. Returns an exit status; argv[0] is "sim".
int sim_main(int argc, char **argv);

#endif
