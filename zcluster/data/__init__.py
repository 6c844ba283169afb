"""The data process: the shell around the streams and the telephony core. Its death moves no address."""
