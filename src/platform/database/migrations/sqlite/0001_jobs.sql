CREATE TABLE `jobs` (
	`id` text PRIMARY KEY NOT NULL,
	`type` text NOT NULL,
	`state` text NOT NULL,
	`priority` integer NOT NULL,
	`key` text,
	`payload` text NOT NULL,
	`result` text,
	`error` text,
	`progress` real NOT NULL,
	`attempt` integer NOT NULL,
	`attempts_max` integer NOT NULL,
	`owner_id` text,
	`worker` text,
	`lease_until` integer,
	`is_cancel_requested` integer NOT NULL,
	`traceparent` text,
	`created_at` integer NOT NULL,
	`run_at` integer NOT NULL,
	`started_at` integer,
	`finished_at` integer,
	`expires_at` integer
);
--> statement-breakpoint
CREATE UNIQUE INDEX `jobs_key` ON `jobs` (`key`);--> statement-breakpoint
CREATE INDEX `jobs_claim` ON `jobs` (`state`,`priority`,`run_at`);--> statement-breakpoint
CREATE INDEX `jobs_owner` ON `jobs` (`owner_id`,`id`);--> statement-breakpoint
CREATE INDEX `jobs_expires_at` ON `jobs` (`expires_at`);--> statement-breakpoint
CREATE TABLE `job_schedules` (
	`name` text PRIMARY KEY NOT NULL,
	`last_slot` integer NOT NULL
);
