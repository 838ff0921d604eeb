"""Runner ``local``: worker processes on this machine that stay warm between passes."""
