//! A light streaming anomaly model for one series.
