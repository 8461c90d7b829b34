/* commands.h: one function per command. Each returns the exit code after saying what went wrong. */
#ifndef VAE_COMMANDS_H
#define VAE_COMMANDS_H

#include "options.h"

int command_train(const options *o);
int command_eval(const options *o);
int command_ais(const options *o);
int command_sample(const options *o);
int command_reconstruct(const options *o);
int command_manifold(const options *o);
int command_traverse(const options *o);
int command_interpolate(const options *o);
int command_scatter(const options *o);
int command_curves(const options *o);
int command_report(const options *o);
int command_models(const options *o);
int command_info(const options *o);
int command_explain(const options *o);

#endif
